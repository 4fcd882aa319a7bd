"""Jepsen's histories of its Kafka workload (EDN, JSON or JSON lines of op maps) as rows of a recording.

Each key of Jepsen's is a topic of one partition. An op is invoked by one map and completed by the next one of its
process; one that never completes is unknown. What `:txn` does is a transaction. The log at the end is what all polls
together were given, at isolation `committed`, as Jepsen judges too: a record behind all that was polled is not missing.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from kafkaos.errors import BrokenRecording
from kafkaos.history.columns import conform
from kafkaos.history.edn import read_edn

Row = dict[str, Any]
_OUTCOMES = {"ok": "ok", "fail": "fail", "info": "info"}


def read_history(path: Path) -> pl.DataFrame:
    """The rows. Raises BrokenRecording, naming the file, where it is no such history or one without operations."""
    try:
        ops = [op for op in _flat(_values(path)) if isinstance(op, dict)]
        rows = list(_rows(ops))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise BrokenRecording(f"{path} is no history of Jepsen's Kafka workload ({error!r})") from None
    if not rows:
        raise BrokenRecording(
            f"{path} has no send, poll or txn: is it the history of Jepsen's Kafka workload?"
        )
    rows += _polled(rows)
    return conform(pl.DataFrame(rows, infer_schema_length=None), source=str(path))


def _values(path: Path) -> Iterator[Any]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".edn":
        yield from read_edn(text)
    elif path.suffix in (".jsonl", ".ndjson"):
        # splitlines would cut at U+2028 within a value.
        yield from (json.loads(line) for line in text.split("\n") if line.strip())
    else:
        yield json.loads(text)


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from value
        else:
            yield value


def _rows(ops: list[dict[str, Any]]) -> Iterator[Row]:
    open_ops: dict[Any, dict[str, Any]] = {}
    for number, op in enumerate(ops):
        process = op.get("process")
        if not isinstance(process, int):
            continue  # the nemesis: a fault
        if op["type"] == "invoke":
            open_ops[process] = op | {"number": number}
        elif process in open_ops:
            yield from _done(open_ops.pop(process), op)
    for op in open_ops.values():
        yield from _done(op, op | {"type": "info", "time": None})


def _done(invoked: dict[str, Any], completed: dict[str, Any]) -> Iterator[Row]:
    kind, outcome = invoked["f"], _OUTCOMES[completed["type"]]
    base: Row = {
        "client": f"process-{invoked['process']}", "outcome": outcome, "invoked_ns": invoked["time"],
        "completed_ns": None if outcome == "info" else completed["time"], "topic": None, "partition": None,
        "offset": None, "value": None, "transaction": None, "isolation": None,
    }  # fmt: skip
    if kind in ("assign", "subscribe"):
        yield base | {"op": "revoke", "outcome": "ok", "completed_ns": base["invoked_ns"]}
        return
    if kind not in ("send", "poll", "txn"):
        return
    if completed.get("rebalance-log"):
        yield base | {"op": "revoke", "outcome": "ok", "completed_ns": base["invoked_ns"]}
    within = base | ({"transaction": invoked["number"]} if kind == "txn" else {})
    if kind == "txn":
        yield within | {"op": "begin", "outcome": "ok", "completed_ns": base["invoked_ns"]}
    told = completed["value"] if outcome == "ok" else invoked["value"]
    for part in told or []:
        yield from _sent(within, part) if part[0] == "send" else _read(within, part, completed, outcome)
    if kind == "txn":
        yield within | {"op": "end"}


def _sent(base: Row, part: list[Any]) -> Iterator[Row]:
    _, key, what = part
    offset, value = what if isinstance(what, list) else (None, what)
    # In an aborted transaction the record may well be in the log.
    outcome = "info" if base["transaction"] is not None and base["outcome"] == "fail" else base["outcome"]
    yield base | {
        "op": "send", "topic": f"key-{key}", "partition": 0, "offset": offset, "value": _number(value),
        "outcome": outcome,
    }  # fmt: skip


def _read(base: Row, part: list[Any], completed: dict[str, Any], outcome: str) -> Iterator[Row]:
    if outcome != "ok" or len(part) < 2:
        return
    for key, records in part[1].items():
        for offset, value in records:
            yield base | {
                "op": "read", "topic": f"key-{key}", "partition": 0, "offset": offset, "value": _number(value),
                "invoked_ns": completed["time"], "isolation": "committed",
            }  # fmt: skip


def _polled(rows: list[Row]) -> list[Row]:
    """What all polls together found: the log as far as anybody knows."""
    found = {(row["topic"], row["offset"], row["value"]) for row in rows if row["op"] == "read"}
    end_ns = max(row["invoked_ns"] for row in rows) + 1
    return [
        {
            "client": "all polls", "op": "final", "topic": topic, "partition": 0, "offset": offset, "value": value,
            "outcome": "ok", "invoked_ns": end_ns, "completed_ns": end_ns, "isolation": "committed",
        }
        for topic, offset, value in sorted(found, key=str)
    ]  # fmt: skip


def _number(value: Any) -> int | None:
    """Jepsen's values are numbers; another one is named by its text."""
    return value if isinstance(value, int) or value is None else zlib.crc32(json.dumps(value).encode())
