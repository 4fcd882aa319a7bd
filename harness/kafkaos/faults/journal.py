"""The heal journal: how to undo each fault, on disk before the fault acts.

Append-only JSON lines in the run's folder, each fsynced. A harness that was killed leaves it behind, and
`heal_leftovers` undoes what is still to be undone, touching only processes whose pid *and* start time match.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from kafkaos.errors import BrokenRecording, KafkaosError
from kafkaos.faults.values import lookup

if TYPE_CHECKING:
    from kafkaos.faults.world import World

JOURNAL_FILE = "heal.jsonl"
START_TIME_SLACK_S = 2.0
"""psutil's start time follows the wall clock, which may be adjusted while a run goes on."""


@dataclass(frozen=True)
class Undo:
    """One thing to undo: its kind and what that kind needs to know."""

    number: int
    kind: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class UndoKind:
    """How a kind of undo is done in a living run and after its harness was killed; twice does no harm."""

    live: Callable[[World, Undo], None]
    leftover: Callable[[Undo], str]
    """Told in one sentence."""


UNDO_KINDS: dict[str, UndoKind] = {}


class HealJournal:
    """The journal of one run; opening an old one goes on after its last whole line."""

    def __init__(self, path: Path, *, healer: bool = False) -> None:
        """`healer`: opened to heal what another harness left; it does not become the journal's harness."""
        self.path = path
        lines, whole_bytes = _read(path) if path.exists() else ([], 0)
        self._next = 1 + max((line["undo"] for line in lines if "undo" in line), default=0)
        self._file = path.open("ab")
        if self._file.tell() > whole_bytes:  # half a line of a harness that was killed
            os.truncate(path, whole_bytes)
        if not healer:
            self._write({"harness": identity(os.getpid())})

    def record(self, kind: str, **facts: Any) -> Undo:
        """Note how to undo what is about to be done, on disk. WrongUse for an unknown kind."""
        lookup(UNDO_KINDS, kind, what="kind of undo")
        undo = Undo(self._next, kind, facts)
        self._write({"undo": undo.number, "kind": kind, "facts": facts})
        self._next += 1
        return undo

    def healed(self, undo: Undo) -> None:
        """It was undone."""
        self._write({"healed": undo.number})

    def pending(self) -> list[Undo]:
        """What is not undone yet, the newest first."""
        return pending(self.path)

    def close(self) -> None:
        self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def pending(path: Path) -> list[Undo]:
    """What a journal's run has not undone, the newest first. BrokenRecording for a broken line."""
    open_ones: dict[int, Undo] = {}
    for line in _read(path)[0]:
        if "undo" in line:
            open_ones[line["undo"]] = Undo(line["undo"], line["kind"], line["facts"])
        elif "healed" in line:
            open_ones.pop(line["healed"], None)
    return [open_ones[number] for number in sorted(open_ones, reverse=True)]


def heal_leftovers(folder: Path) -> tuple[list[str], list[str]]:
    """Undo what killed harnesses left, in every journal below `folder`; what was done, and what could not be.

    One sentence each. A journal whose harness still runs is left alone.
    """
    told: list[str] = []
    failed: list[str] = []
    for path in sorted(folder.rglob(JOURNAL_FILE)):
        try:
            _heal(path, told, failed)
        except KafkaosError as error:
            failed.append(str(error))
        except Exception as error:  # one broken journal must not leave the next one's node paused
            failed.append(f"{path} cannot be followed ({error!r}): end what it names by hand, then remove it")
    return told, failed


def _heal(path: Path, told: list[str], failed: list[str]) -> None:
    undos = pending(path)
    if not undos:
        return
    if _harness_lives(path):
        told.append(f"{path.parent}: its run still goes on and heals itself; left alone.")
        return
    journal = HealJournal(path, healer=True)
    try:
        for undo in undos:
            try:
                sentence = lookup(UNDO_KINDS, undo.kind, what="kind of undo").leftover(undo)
            except Exception as error:  # nor may one undo leave the next one undone
                why = str(error) if isinstance(error, KafkaosError) else repr(error)
                failed.append(
                    f"{path}: undo {undo.number} ({undo.kind}) failed ({why.rstrip('.')}): undo it by hand, then "
                    "remove the file"
                )
                continue
            journal.healed(undo)
            told.append(f"{path.parent}: {sentence}")
    finally:
        journal.close()


def identity(pid: int | None) -> dict[str, Any]:
    """What makes a process itself: pid and start time (s since the epoch); empty if it is not there."""
    try:
        return {"pid": pid, "started_s": psutil.Process(pid).create_time()} if pid is not None else {}
    except psutil.NoSuchProcess:
        return {}


def find(known: dict[str, Any]) -> psutil.Process | None:
    """The process with this identity, if it still lives; never another one that got its pid."""
    if not known.get("pid"):
        return None
    try:
        process = psutil.Process(known["pid"])
        same = abs(process.create_time() - known["started_s"]) <= START_TIME_SLACK_S
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def _harness_lives(path: Path) -> bool:
    harnesses = [line["harness"] for line in _read(path)[0] if "harness" in line]
    return bool(harnesses) and find(harnesses[-1]) is not None


def _read(path: Path) -> tuple[list[dict[str, Any]], int]:
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    lines = []
    for place, line in enumerate(whole.split(b"\n") if whole else []):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise BrokenRecording(
                f"{path} is broken in line {place + 1} ({error}): end what it names by hand, then remove it"
            ) from None
        if not isinstance(value, dict) or not _fits(value):
            raise BrokenRecording(
                f"{path} says nothing that a heal journal says in line {place + 1}: if it is one, end what it names by "
                "hand, then remove it"
            )
        lines.append(value)
    return lines, len(whole) + 1 if whole else 0


def _fits(line: dict[str, Any]) -> bool:
    if "undo" in line:
        return (
            isinstance(line["undo"], int)
            and isinstance(line.get("kind"), str)
            and isinstance(line.get("facts"), dict)
        )
    return isinstance(line.get("healed", 0), int) and isinstance(line.get("harness", {}), dict)
