"""The brokers' logs, cut to what happened around the faults."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from kafkaos.history import Recording
from kafkaos.history.events import Event
from kafkaos.reporting.secrets import clean_text, without_home

BEFORE_S, AFTER_S = 1.0, 3.0
HEAD_BYTES, TAIL_BYTES = 160_000, 80_000
_NS = 1_000_000_000

Window = tuple[float, float]


def windows(events: Sequence[Event]) -> list[Window]:
    """Unix times around each fault, from a second before it to three after it was undone; of a run without a
    fault the whole run."""
    ends = {event.details.get("fault"): event.wall_ns for event in events if event.kind == "heal"}
    last = max((event.wall_ns for event in events), default=0)
    found = [
        (event.wall_ns / _NS - BEFORE_S, ends.get(event.number, last) / _NS + AFTER_S)
        for event in events
        if event.kind == "inject"
    ]
    return found or ([(events[0].wall_ns / _NS, last / _NS)] if events else [])


def cut(path: Path, kept: Sequence[Window]) -> str:
    """The lines of a broker's log within the windows, their continuation lines included; a gap is told."""
    parts: list[str] = []
    inside = gap = False
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            moment = _moment(line)
            if moment is not None:
                inside = any(begin <= moment <= end for begin, end in kept)
            if inside:
                if gap and parts:
                    parts.append("…\n")
                parts.append(line)
            gap = not inside
    return _shortened(without_home(clean_text("".join(parts))))


def broker_logs(folder: Path, recording: Recording) -> dict[str, str]:
    """Name and cut log of each node that logged anything then; none where the logs are not there any more."""
    place = recording.meta.get("settings", {}).get("logs")
    if not isinstance(place, str):
        return {}
    kept = windows(recording.events)
    logs = {path.stem: cut(path, kept) for path in sorted((folder / place).glob("*.log"))}
    return {name: text for name, text in logs.items() if text}


def _moment(line: str) -> float | None:
    """Of `[2026-01-31 08:15:30,123Z] …`; without the Z, as Kafka 3 writes it, in the machine's own time."""
    if not line.startswith("["):
        return None
    try:
        moment = datetime.datetime.strptime(line[1:24], "%Y-%m-%d %H:%M:%S,%f")
    except ValueError:
        return None
    return (moment.replace(tzinfo=datetime.UTC) if line[24:25] == "Z" else moment).timestamp()


def _shortened(text: str) -> str:
    if len(text) <= HEAD_BYTES + TAIL_BYTES:
        return text
    left_out = text.count("\n", HEAD_BYTES, len(text) - TAIL_BYTES)
    return f"{text[:HEAD_BYTES]}\n… {left_out:,} lines left out …\n{text[-TAIL_BYTES:]}"
