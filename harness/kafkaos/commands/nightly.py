"""`kafkaos nightly`: round after round of scenarios, each with a seed of its own, until the time is up."""

from __future__ import annotations

import datetime
import json
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from kafkaos.commands.options import Backend, check_backend
from kafkaos.commands.scenarios import choose, scenarios
from kafkaos.commands.telling import progress, stderr
from kafkaos.errors import EXIT_BROKE, EXIT_HELD, EXIT_UNKNOWN, BrokenRecording
from kafkaos.reporting.results import ERROR, SKIPPED, TIME_IS_UP, read

STATE_FILE, HISTORY_FILE, NIGHTS, ROUNDS = "nightly.json", "history.jsonl", "nights", "rounds"
# The plan that a person writes is not for a night.
NOT_AT_NIGHT = ("plan",)
# Kept back for the report, and how long an interrupted round may take to end its brokers.
REPORT_S, GRACE_S = 20.0, 90.0
NIGHTS_TOLD = 30


@dataclass
class State:
    """What goes on from night to night: the seed of the seeds, and the rounds so far."""

    path: Path
    base: int
    rounds: list[dict[str, Any]]

    @classmethod
    def load(cls, out: Path, seed: int | None) -> State:
        """The stored one, else a new one. A seed that is given starts a new row of seeds."""
        path = out / STATE_FILE
        if not path.exists():
            return cls(path, secrets.randbelow(2**31) if seed is None else seed, [])
        try:
            given = json.loads(path.read_text(encoding="utf-8"))
            state = cls(path, int(given["base"]), [dict(item) for item in given["rounds"]])
        except (ValueError, KeyError, TypeError) as error:
            raise BrokenRecording(f"{path} is broken ({error!r}): delete it to begin anew") from None
        if seed is not None and seed != state.base:
            state.base = seed
            for item in state.rounds:
                item["complete"] = True  # of another row: not gone on with
        return state

    def save(self) -> None:
        """Atomically, so that a killed night is resumed from a whole file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".tmp")
        draft.write_text(json.dumps({"base": self.base, "rounds": self.rounds}, indent=1) + "\n")
        draft.replace(self.path)

    def next_round(self, words: list[str]) -> dict[str, Any]:
        """The round that was not finished, if it was of the same kind, else a new one with the next seed."""
        if self.rounds and not self.rounds[-1]["complete"] and self.rounds[-1]["words"] == words:
            return self.rounds[-1]
        number = len(self.rounds) + 1
        seed = random.Random(f"{self.base}:{number}").randrange(2**31)
        folder = f"{ROUNDS}/{number:04}-{seed}"
        self.rounds.append(
            {"number": number, "seed": seed, "folder": folder, "words": words, "complete": False}
        )
        return self.rounds[-1]


def nightly(  # noqa: PLR0917 (typer passes all by keyword)
    scenario: Annotated[
        list[str] | None, typer.Argument(metavar="[SCENARIO]…", help="As in `kafkaos run`; without one all.")
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
    backend: Backend = "process",
) -> int:
    """Run scenarios again and again, each round with another seed, until the minutes are over; then report.

    Interrupted (Ctrl-C, SIGTERM, kill) it goes on where it stopped the next time. Every night's report has the
    history of the nights before.
    """
    check_backend(backend)
    names = scenario or sorted({s.file.parts[0] for s in scenarios()} - set(NOT_AT_NIGHT))
    choose(names)  # a wrong name is told before anything starts
    options = {"cluster": cluster, "security": security, "kafka": kafka}
    words = [*names, f"--backend={backend}", *(f"--{k}={v}" for k, v in options.items() if v)]
    began_s = time.time()
    deadline_s = began_s + 60 * minutes - REPORT_S
    out = out.absolute()
    state = State.load(out, seed)
    worked_on: list[dict[str, Any]] = []
    interrupted = None
    ran_nothing = False
    try:
        while time.time() < deadline_s:
            one = state.next_round(words)
            worked_on.append(one)
            state.save()
            stderr.print(f"kafkaos: round {one['number']} with seed {one['seed']}", markup=False)
            one["complete"] = _round(out, one, deadline_s)
            state.save()
            if not one["complete"]:
                break
            results = read(out / one["folder"]) if (out / one["folder"]).is_dir() else []
            ran_nothing = all(result.outcome in {ERROR, SKIPPED} for result in results)
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


def _round(out: Path, one: dict[str, Any], deadline_s: float) -> bool:
    """Work on a round until it is over or the time is; True if every scenario of it has its result."""
    left_s = deadline_s - time.time()
    command = [
        sys.executable, "-m", "kafkaos.cli", "run", *one["words"], f"--seed={one['seed']}",
        f"--out={out / one['folder']}", "--resume", f"--minutes={left_s / 60:.3f}",
    ]  # fmt: skip
    # A session of its own: Ctrl-C in a terminal reaches us alone, and we pass it on once.
    process = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)
    try:
        process.wait(max(left_s, 1))
    except subprocess.TimeoutExpired:
        _end(process)
        return False
    except KeyboardInterrupt:
        _end(process)
        raise
    if process.returncode not in (EXIT_HELD, EXIT_BROKE, EXIT_UNKNOWN):
        return False
    return time.time() < deadline_s and _all_ran(out / one["folder"])


def _all_ran(folder: Path) -> bool:
    """Whether pytest was not stopped by the clock: it then leaves a mark."""
    return not (folder / TIME_IS_UP).exists()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()  # its brokers and clients end with it
        process.wait()


def _tell(out: Path, began_s: float, worked_on: Sequence[dict[str, Any]]) -> int:
    from kafkaos.reporting.night import SUMMARY_JSON, SUMMARY_TEXT, Night, markdown, summary
    from kafkaos.reporting.results import BROKE, FAILED

    stamp = datetime.datetime.fromtimestamp(began_s).strftime("%Y%m%d-%H%M%S")
    earlier = sorted(path for path in (out / NIGHTS).glob("*") if path.is_dir())
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
    return EXIT_UNKNOWN if told["not_held"] or not results else EXIT_HELD


def _report(nights: list[Path], out: Path) -> None:
    from kafkaos.commands.report import write

    with progress() as tell:
        for path in write(nights, out / "report", history=out / HISTORY_FILE, tell=tell).values():
            typer.echo(path)
