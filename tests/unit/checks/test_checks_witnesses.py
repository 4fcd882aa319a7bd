"""Which records the witnesses of a breach name: the same at each look, and the ones that show it."""

from __future__ import annotations

import random
from typing import Any

import polars as pl

from kafkaos.checks import key_order
from kafkaos.checks.story import first_rows
from kafkaos.checks.verdict import WITNESSES_MAX, Verdict
from kafkaos.history import Recording
from kafkaos.history.columns import conform


def test_of_breaches_at_one_time_the_same_are_told() -> None:
    """A whole batch is read at one time, and a table out of a group or a join has its rows in any order."""
    table = pl.DataFrame({"seen_ns": [5] * 40, "offset": range(40), "values": [[n] for n in range(40)]})
    for seed in range(5):
        shuffled = table[random.Random(seed).sample(range(40), 40)]
        told = [row["offset"] for row in first_rows(shuffled, "seen_ns")]
        assert told == list(range(WITNESSES_MAX))


def test_the_other_record_is_one_of_the_same_incarnation() -> None:
    """Rows are counted anew after a restart, and keys that go round fall on the same ones again."""
    sends = [
        send(value=incarnation * 10 + row, at_ns=incarnation * 100 + row, incarnation=incarnation, row=row)
        for incarnation in (0, 1)
        for row in (0, 1)
    ]
    reads = [read(value, at_ns=1000 + place, row=place) for place, value in enumerate((0, 1, 11, 10))]
    *_, witness = judged(sends + reads).witnesses
    assert "record 10 of key 3 in orders-0 at offset 10 after record 11 " in witness.sentence


def test_the_other_record_of_an_acknowledged_batch_was_read_later() -> None:
    """A batch is acknowledged at one time: of its records, one that was read too early proves nothing."""
    sends = [
        send(value=1, at_ns=1, done_ns=50, row=0),
        send(value=2, at_ns=1, done_ns=50, row=1),
        send(value=3, at_ns=60, done_ns=70, row=0, client="another"),
    ]
    reads = [read(value, at_ns=1000 + place, row=place) for place, value in enumerate((1, 3, 2))]
    (witness,) = judged(sends + reads).witnesses
    assert "record 3 of key 3 in orders-0 at offset 3 before record 2 " in witness.sentence


def send(
    value: int,
    *,
    at_ns: int,
    row: int,
    done_ns: int | None = None,
    incarnation: int = 0,
    client: str = "shop",
) -> dict[str, Any]:
    return {
        "op": "send",
        "client": client,
        "incarnation": incarnation,
        "row": row,
        "value": value,
        "offset": value,
        "invoked_ns": at_ns,
        "completed_ns": at_ns if done_ns is None else done_ns,
    }


def read(value: int, *, at_ns: int, row: int) -> dict[str, Any]:
    given = {"op": "read", "client": "reader", "incarnation": 0, "row": row, "value": value, "offset": value}
    return {**given, "invoked_ns": at_ns, "completed_ns": at_ns}


def judged(rows: list[dict[str, Any]]) -> Verdict:
    common = {"topic": "orders", "partition": 0, "key": 3, "outcome": "ok"}
    frame = pl.DataFrame([{**common, **row} for row in rows])
    return key_order.judge(Recording(rows=conform(frame, source="the test")))
