"""`kafkaos run`: the shipped scenarios, by pytest, in this process."""

from __future__ import annotations

import contextlib
import datetime
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from kafkaos.commands.options import (
    Backend,
    Bootstrap,
    ClientConfig,
    Image,
    JavaHome,
    Json,
    KafkaVersion,
    Out,
    Security,
    check_backend,
    check_early,
    for_pytest,
)
from kafkaos.commands.scenarios import MAIN_JOB, choose
from kafkaos.commands.telling import print_json, stderr
from kafkaos.errors import EXIT_HELD, EXIT_UNKNOWN, WrongUse
from kafkaos.reporting.results import check_folder
from kafkaos.shipped import shipped

PYTEST_PASSED, PYTEST_FAILED, PYTEST_INTERRUPTED, PYTEST_NONE = 0, 1, 2, 5
A_PLAN = "a_plan_breaks_no_guarantee"
AN_EXPERIMENT = "an_experiment_keeps_its_steady_state_and_breaks_no_guarantee"
SETTINGS = Path(__file__).with_name("scenarios.ini")


def run(  # noqa: PLR0917 (typer passes all by keyword)
    scenario: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SCENARIO]…",
            help="A folder, file, test or row of `kafkaos list scenarios`; or a plan or Chaos Toolkit experiment, "
            "FILE.json.",
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Run on this cluster (name or .toml file) instead of the scenario's; what cannot be run there is "
            "skipped with the reason.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of every random choice; printed, to run it again.")
    ] = None,
    backend: Backend = "process",
    java_home: JavaHome = None,
    image: Image = None,
    bootstrap: Bootstrap = None,
    client_config: ClientConfig = None,
    out: Out = None,
    security: Security = None,
    kafka: KafkaVersion = None,
    minutes: Annotated[
        float | None,
        typer.Option(min=0, help="Start no scenario after the first that would not be over by then."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave out the scenarios that --out has results of already.")
    ] = False,
    json: Json = False,
) -> int:
    """Run scenarios on real brokers and judge them; without a name the main job."""
    check_backend(backend)
    check_early(
        backend=backend,
        cluster=cluster,
        bootstrap=bootstrap,
        client_config=client_config,
        java_home=java_home,
        security=security,
        kafka=kafka,
    )
    if resume and out is None:
        raise WrongUse("--resume goes on in a folder that has results already: name it by --out DIR.")
    targets, plan = _targets(scenario or [MAIN_JOB])
    if cluster is not None and cluster.endswith(".toml"):
        cluster = str(Path(cluster).absolute())
    seed = secrets.randbelow(2**31) if seed is None else seed
    given = {
        "backend": backend,
        "cluster": cluster,
        "java-home": java_home,
        "image": image,
        "bootstrap": bootstrap,
        "client-config": client_config and client_config.absolute(),
        "plan": plan,
        "security": security,
        "version": kafka,
        "minutes": minutes,
    }
    settings = [
        *("-c", str(SETTINGS), f"--rootdir={shipped('scenarios')}", "--kafka-by-command"),
        *for_pytest(given),
        *(["--kafka-resume"] if resume else []),
    ]
    return run_tests([*targets, *settings], seed=seed, out=out, json=json)


def _targets(names: list[str]) -> tuple[list[str], Path | None]:
    """What pytest is to be given, and the plan or experiment where a .json file is named."""
    files = [Path(name) for name in names if name.endswith(".json")]
    if not files:
        return choose(names), None
    if len(names) > 1:
        raise WrongUse(
            f"{files[0]} is run alone: name one plan or experiment at a time, and no scenario beside it."
        )
    from kafkaos.planfile import Experiment, read_plan_file

    experiment = isinstance(
        read_plan_file(files[0]), Experiment
    )  # what is wrong in it is told before the start
    return choose([AN_EXPERIMENT if experiment else A_PLAN]), files[0].absolute()


def run_tests(arguments: list[str], *, seed: int, out: Path | None, json: bool) -> int:
    """Run pytest on them, with a folder for what they write; the exit status in kafkaos's terms."""
    folder = (out or Path("reports/out") / f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{seed}").absolute()
    check_folder(folder)
    own = [f"--kafka-seed={seed}", f"--kafka-out={folder}", f"--alluredir={folder / 'allure-results'}"]
    # A resumed session adds its own file: each holds what one call of pytest ran.
    number = 1 + len(list(folder.glob("junit*.xml")))
    own.append(f"--junitxml={folder / ('junit.xml' if number == 1 else f'junit-{number}.xml')}")
    outcomes = Outcomes()
    with contextlib.redirect_stdout(sys.stderr) if json else contextlib.nullcontext():
        status = _pytest([*arguments, *own], outcomes)
    if status == EXIT_HELD and (reasons := outcomes.all_skipped()):
        status = EXIT_UNKNOWN
        stderr.print(
            f"kafkaos: nothing was judged, for every scenario was skipped: {'; '.join(reasons)}", markup=False
        )
    if json:
        print_json({"exit_status": status, "seed": seed, "out": str(folder), "scenarios": outcomes.to_json()})
    return status


def _pytest(arguments: list[str], outcomes: Outcomes) -> int:
    import pytest

    from kafkaos.pytest_plugin import last_exit_status

    code = int(pytest.main(arguments, plugins=[outcomes]))
    if code == PYTEST_INTERRUPTED and not outcomes.time_is_up:
        raise KeyboardInterrupt
    if code == PYTEST_PASSED:
        return EXIT_HELD
    told = (PYTEST_FAILED, PYTEST_INTERRUPTED, PYTEST_NONE)
    return last_exit_status() if code in told else EXIT_UNKNOWN


class Outcomes:
    """A pytest plugin that keeps what each scenario came to."""

    def __init__(self) -> None:
        self._tests: dict[str, dict[str, Any]] = {}
        self._skipped: dict[str, str] = {}
        self._known_before = False
        self.time_is_up = False

    def pytest_deselected(self, items: Sequence[Any]) -> None:
        """With --resume: those that the folder has results of."""
        self._known_before = self._known_before or bool(items)

    def pytest_sessionfinish(self, session: Any) -> None:
        self.time_is_up = str(session.shouldstop).startswith("kafkaos: the time is up")

    def pytest_runtest_logreport(self, report: Any) -> None:
        test = self._tests.setdefault(
            report.nodeid, {"test": report.nodeid, "outcome": "passed", "folder": None}
        )
        if report.outcome != "passed":
            test["outcome"] = report.outcome
        if isinstance(report.longrepr, tuple):  # file, line and reason of a skip
            self._skipped[report.nodeid] = report.longrepr[2].removeprefix("Skipped: ")
        test["folder"] = dict(report.user_properties).get("kafkaos_run", test["folder"])

    def all_skipped(self) -> list[str]:
        """Each reason once, if all tests that there were have been skipped; else none."""
        nothing_ran = self._skipped.keys() == self._tests.keys() and not self._known_before
        return list(dict.fromkeys(self._skipped.values())) if nothing_ran else []

    def to_json(self) -> list[dict[str, Any]]:
        """One object a test, with the verdicts that its folder holds."""
        from kafkaos.run import verdicts_of

        return [
            {
                **test,
                "verdicts": [v.to_json() for v in verdicts_of(Path(test["folder"]))]
                if test["folder"]
                else [],
            }
            for test in self._tests.values()
        ]
