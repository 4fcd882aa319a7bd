"""Witnesses told in the run's own time: seconds since its first row, and how far from the nearest fault."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from kafkaos.checks.verdict import WITNESSES_MAX, Witness
from kafkaos.history import Recording

NS_PER_S = 1_000_000_000
_TIES: Final = ("topic", "partition", "offset", "value", "client", "incarnation", "row", "place")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault as it happened, times in monotonic ns. `placed_ns` is when the injection was done."""

    number: int
    name: str
    injected_ns: int
    placed_ns: int
    healed_ns: int | None


def start_ns(recording: Recording) -> int:
    """The run's zero: the first row's invocation (0 where there is none)."""
    first = recording.derive("start", recording.rows["invoked_ns"].min)
    return first if isinstance(first, int) else 0


def faults(recording: Recording) -> list[Fault]:
    """The faults in order, from the inject and heal rows; from the events where nobody wrote such rows."""
    return recording.derive("faults", lambda: _found(recording))


def without_rows(recording: Recording) -> Recording:
    """The run's beginning and faults alone."""
    known, start = faults(recording), start_ns(recording)
    bare = recording.with_rows(recording.rows.clear())
    bare.derive("faults", lambda: known)
    bare.derive("start", lambda: start)
    return bare


def _found(recording: Recording) -> list[Fault]:
    return _from_rows(recording) or _from_events(recording)


def _from_rows(recording: Recording) -> list[Fault]:
    names = {event.number: _name(event.name, event.details) for event in recording.events}
    table = (
        recording.rows.filter(pl.col("op").is_in(["inject", "heal"]))
        .select("op", "sequence", "invoked_ns", "completed_ns")
        .sort("invoked_ns")
    )
    healed = {row["sequence"]: row["invoked_ns"] for row in table.filter(pl.col("op") == "heal").to_dicts()}
    found: list[Fault] = []
    for row in table.filter(pl.col("op") == "inject").to_dicts():
        number = len(found) if row["sequence"] is None else row["sequence"]
        begun, done = row["invoked_ns"], row["completed_ns"]
        found.append(
            Fault(
                number=number,
                name=names.get(number, f"fault {number}"),
                injected_ns=begun,
                placed_ns=begun if done is None else done,
                healed_ns=healed.get(row["sequence"]),
            )
        )
    return found


def _from_events(recording: Recording) -> list[Fault]:
    healed = {
        event.details.get("fault"): event.monotonic_ns for event in recording.events if event.kind == "heal"
    }
    return [
        Fault(
            number=event.number,
            name=_name(event.name, event.details),
            injected_ns=event.monotonic_ns,
            placed_ns=event.monotonic_ns,
            healed_ns=healed.get(event.number),
        )
        for event in recording.events
        if event.kind == "inject"
    ]


def _name(name: str, details: dict[str, Any]) -> str:
    target = details.get("target")
    return f"{name} of {target}" if isinstance(target, str) and target else name


def since_start_s(recording: Recording, at_ns: int | None) -> float | None:
    """Seconds from the run's zero, to the microsecond."""
    return None if at_ns is None else round((at_ns - start_ns(recording)) / NS_PER_S, 6)


def witness(recording: Recording, sentence: str, row: dict[str, Any]) -> Witness:
    """A witness with whatever the row knows: value, topic, partition, offset, client and times.

    Of the row's times `invoked_ns` and `completed_ns` are a send's, `seen_ns` a reader's.
    """
    moment_ns = next((row[name] for name in ("seen_ns", "completed_ns", "invoked_ns") if row.get(name)), None)
    fault, since_fault_s = _nearest_fault(recording, moment_ns)
    return Witness(
        sentence=sentence,
        value=row.get("value"),
        topic=row.get("topic"),
        partition=row.get("partition"),
        offset=row.get("offset"),
        client=row.get("client"),
        sent_s=since_start_s(recording, row.get("invoked_ns")),
        acknowledged_s=since_start_s(recording, row.get("completed_ns")),
        seen_s=since_start_s(recording, row.get("seen_ns")),
        fault=fault,
        since_fault_s=since_fault_s,
    )


def delivery(row: dict[str, Any]) -> dict[str, Any]:
    """What a witness is to know of a reader's row: it was seen then, not sent."""
    told = {name: row[name] for name in ("client", "topic", "partition", "offset", "value")}
    return told | {"seen_ns": row["invoked_ns"]}


def first_rows(table: pl.DataFrame, *order: str) -> list[dict[str, Any]]:
    """The first few rows of a table of breaches, in the order given.

    Of equal ones the same at each look: a whole batch has one time, and groups and joins come out in any order.
    """
    known = {name for name, kind in table.schema.items() if not kind.is_nested()}
    ties = [name for name in _TIES if name in known and name not in order]
    return table.sort(*order, *ties, nulls_last=True).head(WITNESSES_MAX).to_dicts()


def at(row: dict[str, Any]) -> str:
    """`orders-0 at offset 17`, as far as it is known."""
    partition = "" if row.get("partition") is None else f"-{row['partition']}"
    offset = "" if row.get("offset") is None else f" at offset {row['offset']}"
    return f"{row.get('topic')}{partition}{offset}"


def _nearest_fault(recording: Recording, moment_ns: int | None) -> tuple[str | None, float | None]:
    known = faults(recording)
    if moment_ns is None or not known:
        return None, None
    nearest = min(known, key=lambda fault: abs(moment_ns - fault.injected_ns))
    return nearest.name, round((moment_ns - nearest.injected_ns) / NS_PER_S, 6)
