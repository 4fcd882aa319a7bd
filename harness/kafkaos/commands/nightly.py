"""`kafkaos nightly`: round after round of scenarios, each with a seed of its own, until the time is up."""

from __future__ import annotations

import datetime
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Annotated, Any

import typer

from kafkaos.commands.options import OwnBackend, check_early, check_own_backend
from kafkaos.commands.rounds import State
from kafkaos.commands.scenarios import MAIN_JOB, choose, name_of, scenarios
from kafkaos.commands.telling import progress, stderr
from kafkaos.errors import EXIT_BROKE, EXIT_HELD, EXIT_UNKNOWN
from kafkaos.reporting.results import (
    CUT,
    ERROR,
    NOT_DONE,
    RESULTS_FILE,
    SKIPPED,
    TIME_IS_UP,
    check_folder,
    read,
)

HISTORY_FILE, NIGHTS = "history.jsonl", "nights"
# The plan that a person writes is not for a night.
NOT_AT_NIGHT = "plan"
# Kept back for the report: it grows with what was run. An interrupted round has GRACE_S to end its brokers.
REPORT_S, REPORT_SHARE, GRACE_S = 20.0, 0.02, 90.0
# A round with its one seed takes so long at most; with less than the minimum left nothing would be over in time.
ROUND_S, ROUND_MINIMUM_S = 300.0, 60.0
NIGHTS_TOLD = 30


def nightly(  # noqa: PLR0917 (typer passes all by keyword)
    scenario: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SCENARIO]…",
            help="As in `kafkaos run`; without one the main job and all others but the plan.",
        ),
    ] = None,
    minutes: Annotated[float, typer.Option(min=1, help="All of it, the report included.")] = 60,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Rounds, history and reports; goes on from what it holds.")
    ] = Path("reports/out/nightly"),
    seed: Annotated[
        int | None, typer.Option(min=0, help="The seed that the rounds' seeds are drawn from.")
    ] = None,
    cluster: Annotated[str | None, typer.Option(metavar="NAME", help="As in `kafkaos run`.")] = None,
    security: Annotated[str | None, typer.Option(metavar="PROFILE", help="As in `kafkaos run`.")] = None,
    kafka: Annotated[str | None, typer.Option(metavar="X.Y.Z", help="As in `kafkaos run`.")] = None,
    backend: OwnBackend = "process",
) -> int:
    """Run scenarios again and again, each round with another seed, until the minutes are over; then report.

    A round takes five minutes at most. Rounds of the main job and of the other scenarios take turns; what had no time
    comes next, with another seed.

    Interrupted (Ctrl-C, SIGTERM, kill) it goes on where it stopped the next time. Every night's report has the
    history of the nights before.
    """
    # What is wrong is told before anything starts: a round would be stored, and no round can mend it.
    check_own_backend(backend, "nightly")
    check_early(cluster=cluster, security=security, kafka=kafka)
    check_folder(out.absolute())
    given = choose(scenario) if scenario else None
    rotation = [name_of(target) for target in given] if given else _all_but_the_main_job()
    options = {"cluster": cluster, "security": security, "kafka": kafka}
    words = [f"--backend={backend}", *(f"--{k}={v}" for k, v in options.items() if v)]
    began_s = time.time()
    deadline_s = began_s + 60 * minutes * (1 - REPORT_SHARE) - REPORT_S
    out = out.absolute()
    state = State.load(out, seed)
    worked_on: list[dict[str, Any]] = []
    interrupted = None
    ran_nothing = False
    try:
        while not worked_on or time.time() < deadline_s - ROUND_MINIMUM_S:
            one = state.next_round(rotation, words, main_job=given is None)
            worked_on.append(one)
            state.save()
            stderr.print(f"kafkaos: round {one['number']} with seed {one['seed']}", markup=False)
            left = _round(out, one, deadline_s)
            if left is None:
                break
            state.finish(one, left)
            state.save()
            results = read(out / one["folder"]) if (out / one["folder"]).is_dir() else []
            outcomes = {result.outcome for result in results}
            ran_nothing = is_in_vain(outcomes, whole=one["scenarios"] == rotation)
            if ran_nothing:  # the next would do no better
                stderr.print(
                    f"kafkaos: no scenario of round {one['number']} could run: see above why", markup=False
                )
                break
    except KeyboardInterrupt as caught:
        interrupted = caught
    finally:
        state.save()
    status = _tell(out, began_s, worked_on)
    if interrupted is not None:
        raise interrupted
    return EXIT_UNKNOWN if ran_nothing and status == EXIT_HELD else status


def is_in_vain(outcomes: Set[str], *, whole: bool) -> bool:
    """Whether no round can do better than one with these outcomes, be it of the `whole` rotation or of a part.

    A part that was skipped, as the main job is on one broker, says nothing of the others.
    """
    return outcomes <= {ERROR, SKIPPED} and (whole or outcomes != {SKIPPED})


def _all_but_the_main_job() -> list[str]:
    return [s.name for s in scenarios() if s.file.parts[0] not in {MAIN_JOB, NOT_AT_NIGHT}]


def _round(out: Path, one: dict[str, Any], deadline_s: float) -> list[str] | None:
    """Work on a round until it is over or its time is; the scenarios without a result, None if it could not run."""
    left_s = deadline_s - time.time()
    command = [
        sys.executable, "-m", "kafkaos", "run", *one["scenarios"], *one["options"], f"--seed={one['seed']}",
        f"--out={out / one['folder']}", "--resume", f"--minutes={min(left_s, ROUND_S) / 60:.3f}",
    ]  # fmt: skip
    # A session of its own: Ctrl-C in a terminal reaches us alone, and we pass it on once.
    process = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)
    try:
        process.wait(max(left_s, 1))
    except subprocess.TimeoutExpired:
        _end(process)
        done = {name_of(result.test) for result in read(out / one["folder"]) if result.outcome != CUT}
        return [name for name in one["scenarios"] if name not in done]
    except KeyboardInterrupt:
        _end(process)
        raise
    if process.returncode not in (EXIT_HELD, EXIT_BROKE, EXIT_UNKNOWN):
        return None
    stopped = out / one["folder"] / TIME_IS_UP
    return list(dict.fromkeys(map(name_of, stopped.read_text().splitlines()))) if stopped.exists() else []


def _end(process: subprocess.Popen[bytes]) -> None:
    # Not SIGINT: a night that a script started in the background has that ignored, and so has its run.
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()  # its brokers and clients end with it
        process.wait()


def _tell(out: Path, began_s: float, worked_on: Sequence[dict[str, Any]]) -> int:
    from kafkaos.reporting.night import SUMMARY_JSON, SUMMARY_TEXT, Night, markdown, summary
    from kafkaos.reporting.results import BROKE, FAILED

    stamp = datetime.datetime.fromtimestamp(began_s).strftime("%Y%m%d-%H%M%S")
    # A night in which nothing ran has nothing to compare with: of the one before it all would be new again.
    earlier = sorted(path for path in (out / NIGHTS).glob("*") if (path / RESULTS_FILE).exists())
    folders = [out / one["folder"] for one in worked_on if (out / one["folder"]).is_dir()]
    night = Night(out / NIGHTS / stamp, began_s, folders)
    results = night.merge()
    before = read(earlier[-1]) if earlier else []
    told = summary(night, results, before=before, seeds=[one["seed"] for one in worked_on])
    (out / SUMMARY_JSON).write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    text = markdown(told)
    (out / SUMMARY_TEXT).write_text(text, encoding="utf-8")
    if results:
        _report([*earlier[-(NIGHTS_TOLD - 1) :], night.folder], out)
    typer.echo(text)
    outcomes = {result.outcome for result in results}
    if outcomes & {BROKE, FAILED}:
        return EXIT_BROKE
    return EXIT_UNKNOWN if told["not_held"] or outcomes <= NOT_DONE else EXIT_HELD


def _report(nights: list[Path], out: Path) -> None:
    from kafkaos.commands.report import write

    with progress() as tell:
        for path in write(nights, out / "report", history=out / HISTORY_FILE, tell=tell).values():
            typer.echo(path)
