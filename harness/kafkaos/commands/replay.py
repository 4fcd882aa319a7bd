"""`kafkaos replay`: a run's explicit plan, run again."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import Annotated, Any

import typer

from kafkaos.commands.options import JavaHome, Json
from kafkaos.commands.run import SETTINGS, run_tests
from kafkaos.errors import BrokenRecording, WrongUse
from kafkaos.shipped import shipped


def replay(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of one run, as `kafkaos run` named it.")
    ],
    java_home: JavaHome = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="For recordings, logs, Allure results (reports/out/TIME-SEED)."),
    ] = None,
    json: Json = False,
) -> int:
    """Run a stored run again: its scenario, seed and cluster, with the explicit plan that its folder holds."""
    from kafkaos.run import PLAN_FILE, plan_of

    folder = _one_run(run, PLAN_FILE)
    plan_of(folder)  # a broken one is told before anything starts
    meta = _meta(folder)
    settings, seed = meta["settings"], meta["seed"]
    experiment = folder / "experiment.json"
    test = _test(settings)
    own = ["-c", str(SETTINGS), f"--rootdir={shipped('scenarios')}"]
    arguments = [
        test,
        *(own if Path(test.split("::")[0]).is_relative_to(shipped("scenarios")) else []),
        *(f"--kafka-backend={settings['backend']}", f"--kafka-replay={folder}"),
        *([f"--kafka-cluster={settings['cluster']}"] if settings["cluster"] != "as marked" else []),
        *([f"--kafka-java-home={java_home}"] if java_home else []),
        *([f"--kafka-plan={experiment}"] if experiment.exists() else []),
    ]
    return run_tests(arguments, seed=seed, out=out, json=json)


def _one_run(folder: Path, file: str) -> Path:
    """The run in or below a folder; WrongUse where there are none or several."""
    folder = folder.absolute()
    if not folder.is_dir():
        raise WrongUse(f"There is no folder {folder}: name the folder of a run.")
    found = [folder] if (folder / file).exists() else sorted(p.parent for p in folder.rglob(file))
    if not found:
        raise WrongUse(f"No run in {folder} had a fault, so there is no {file} to replay: name another run.")
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path in found)
        raise WrongUse(f"{folder} holds {len(found)} runs: name one of them ({names}).")
    return found[0]


def _meta(folder: Path) -> dict[str, Any]:
    path = folder / "recording.json"
    try:
        meta: dict[str, Any] = jsonlib.loads(path.read_text(encoding="utf-8"))
        if {"test", "file", "backend", "cluster"} <= meta["settings"].keys() and isinstance(
            meta["seed"], int
        ):
            return meta
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        pass
    raise BrokenRecording(
        f"{path} does not say which test ran with which seed: take it from a good copy of the run"
    )


def _test(settings: dict[str, Any]) -> str:
    """What pytest is to be given; a shipped scenario is found where it is now."""
    name = settings["test"].partition("::")[2]
    for file in (Path(settings["file"]), shipped("scenarios") / settings["test"].partition("::")[0]):
        if file.is_file():
            return f"{file}::{name}"
    raise WrongUse(f"The test that this run was of is not there any more: {settings['file']}.")
