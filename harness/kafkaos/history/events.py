"""`events.jsonl`: what the harness did and saw, one JSON object a line, beside the clients' segments.

Kinds: `phase` (setup, steady, traffic, inject, heal, drain, check), `inject` and `heal` (a fault with its
target; the rows of op inject and heal carry the number of the inject event as their sequence), `evidence`
(the proof that a fault bit) and `state` (leaders, in-sync replicas, epochs as observed).
"""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kafkaos.errors import BrokenRecording, WrongUse

EVENTS_FILE = "events.jsonl"
_FIXED = ("number", "kind", "name", "monotonic_ns", "wall_ns")


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of the file. `details` is whatever JSON the writer added: target, evidence, leaders, isr …"""

    number: int
    kind: str
    name: str
    monotonic_ns: int
    wall_ns: int
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _FIXED} | self.details

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> Event:
        """Raises KeyError or TypeError where a fixed field is missing or of a wrong type."""
        fixed = {name: given[name] for name in _FIXED}
        for name in ("number", "monotonic_ns", "wall_ns"):
            if type(fixed[name]) is not int:
                raise TypeError(f"{name} is no whole number")
        return cls(**fixed, details={name: value for name, value in given.items() if name not in _FIXED})


class EventLog:
    """Appends events, each with the kernel before `append` returns. Goes on where a dead writer stopped."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        events, whole_bytes = _read(path) if path.exists() else ([], 0)
        self._next_number = len(events)
        self._file = path.open("ab")
        if self._file.tell() > whole_bytes:  # half a line of a writer that was killed
            os.truncate(path, whole_bytes)

    def append(self, kind: str, name: str, **details: Any) -> int:
        """Write one event, timed now, and return its number."""
        clash = [key for key in details if key in _FIXED]
        if clash:
            raise WrongUse(f"an event's detail cannot be called {clash[0]}: choose another name")
        with self._lock:
            event = Event(
                number=self._next_number,
                kind=kind,
                name=name,
                monotonic_ns=time.monotonic_ns(),
                wall_ns=time.time_ns(),
                details=details,
            )
            self._file.write(json.dumps(event.to_json(), ensure_ascii=False).encode() + b"\n")
            self._file.flush()
            self._next_number += 1
            return event.number

    def phase(self, name: str, **details: Any) -> int:
        """A phase of the run begins."""
        return self.append("phase", name, **details)

    def inject(self, name: str, *, target: str, **details: Any) -> int:
        """A fault begins; the number that is returned names the fault from here on."""
        return self.append("inject", name, target=target, **details)

    def heal(self, name: str, *, fault: int, **details: Any) -> int:
        """The fault with the number `fault` was undone."""
        return self.append("heal", name, fault=fault, **details)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_events(path: Path) -> list[Event]:
    """All whole events. A last line with no line end was cut off by a crash and is left out.

    Raises BrokenRecording for any other line that cannot be read, and where a number is missing.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[list[Event], int]:
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    events = []
    for place, line in enumerate(whole.split(b"\n") if whole else []):
        try:
            event = Event.from_json(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BrokenRecording(
                f"{path} is broken in line {place + 1} ({error}): take the run's folder from a good copy"
            ) from None
        if event.number != place:
            raise BrokenRecording(
                f"{path} lacks event {place} (line {place + 1} has number {event.number}): "
                "take the run's folder from a good copy"
            )
        events.append(event)
    return events, len(whole) + 1 if whole else 0
