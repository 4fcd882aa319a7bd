"""`kafkaos report`: what one or more runs came to, for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kafkaos.commands.check import RECORDINGS
from kafkaos.commands.options import Json
from kafkaos.commands.telling import print_json, progress
from kafkaos.errors import EXIT_BROKE, EXIT_HELD, WrongUse

if TYPE_CHECKING:
    from kafkaos.reporting.page import Session

HELP = """Render a report about one or more runs: one HTML page that opens offline, and Allure 3 where Node is.

    RUN is the folder that `kafkaos run` or pytest --kafka-out wrote (reports/out/…), or one recording's folder. Of
    several the last is told, the others are its history.
    """
REPORT_FOLDER = "report"
PAGE_FILE = "kafkaos.html"


def report(  # noqa: PLR0917 (typer passes all by keyword)
    run: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folders of runs, the newest last.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write (default: RUN/report of the last RUN).")
    ] = None,
    html: Annotated[
        bool, typer.Option("--html", help="Our own page only: needs neither Node nor npm.")
    ] = False,
    single_file: Annotated[
        bool, typer.Option("--single-file", help="Allure's report as one HTML file.")
    ] = False,
    history: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep Allure's history here, from report to report.")
    ] = None,
    gate: Annotated[
        bool, typer.Option("--gate", help="End with 1 if a scenario of the last RUN did not hold.")
    ] = False,
    json: Json = False,
) -> int:
    from kafkaos.reporting.results import BAD, check_folder

    target = (out or run[-1] / REPORT_FOLDER).absolute()
    if out is not None:
        check_folder(target)
    with progress() as tell:
        written = write(run, target, history=history, html=html, single_file=single_file, tell=tell)
    broken = [result for result in _session(run[-1]).results if result.outcome in BAD]
    status = EXIT_BROKE if gate and broken else EXIT_HELD
    if json:
        print_json(
            {"exit_status": status, "written": written, "not_held": [result.test for result in broken]}
        )
    else:
        for path in written.values():
            typer.echo(path)
    return status


report.__doc__ = HELP


def write(
    runs: Sequence[Path],
    target: Path,
    *,
    tell: Callable[[str], None],
    history: Path | None = None,
    html: bool = False,
    single_file: bool = False,
) -> dict[str, str]:
    """Both reports about the last of the runs, the others being its history; where they were written.

    With a `history` file Allure takes the runs before from there, and adds the last to it.
    """
    from kafkaos.reporting import allure3

    sessions = [_session(path) for path in runs]
    written: dict[str, str] = {}
    missing = "--html was asked for" if html else _no_allure(runs[-1] / allure3.RESULTS_FOLDER)
    if missing is None:
        results = [path / allure3.RESULTS_FOLDER for path in (runs if history is None else runs[-1:])]
        if history is None:
            (target / "history.jsonl").unlink(missing_ok=True)
        made = allure3.render(
            [path for path in results if path.is_dir()],
            target / "allure",
            history=(history or target / "history.jsonl").absolute(),
            single_file=single_file,
            title=f"kafkaos: {runs[-1].resolve().name}",
            progress=tell,
        )
        written["allure"] = str(made)
    elif not html:
        tell(f"no Allure report, because {missing}; our own page instead")
    written["page"] = str(_page(sessions, target, tell))
    return written


def _no_allure(results: Path) -> str | None:
    from kafkaos.reporting import allure3

    if not results.is_dir():
        return f"{results} is not there (`kafkaos run` writes it, pytest with --alluredir)"
    return allure3.lacking()


def _session(path: Path) -> Session:
    from kafkaos.reporting.page import Session
    from kafkaos.reporting.results import of_run, read

    if not path.is_dir():
        raise WrongUse(
            f"There is no run at {path}: name a folder below reports/out, or one recording's folder."
        )
    results = [of_run(path, path)] if (path / "recording.json").exists() else read(path)
    if not results and any((path / name).exists() for name in RECORDINGS):
        raise WrongUse(f"{path} has a recording and no recording.json: judge it with `kafkaos check {path}`.")
    if not results:
        raise WrongUse(
            f"{path} has no results: name the folder that `kafkaos run` or pytest --kafka-out wrote."
        )
    return Session(path, results)


def _page(sessions: Sequence[Session], target: Path, tell: Callable[[str], None]) -> Path:
    from kafkaos.reporting.page import render
    from kafkaos.reporting.story import story

    newest = sessions[-1]
    stories = {}
    for number, result in enumerate(newest.results, 1):
        if result.folder is not None and (newest.folder / result.folder).is_dir():
            tell(f"reading recording {number} of {len(newest.results)}: {result.name}")
            stories[result.test] = story(newest.folder / result.folder)
    target.mkdir(parents=True, exist_ok=True)
    path = target / PAGE_FILE
    path.write_text(
        render(sessions, stories, title=f"kafkaos: {newest.folder.resolve().name}"), encoding="utf-8"
    )
    return path
