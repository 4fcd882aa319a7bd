"""A value that is sent again, after an abort or by the successor of a killed client: each place is one send's."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from kafkaos.checks import (
    Guarantee,
    Status,
    at_least_once,
    fencing,
    key_order,
    no_aborted_read,
    no_dirty_cycle,
    offsets_agree,
    reader_order,
)
from kafkaos.history import Recording
from kafkaos.history.columns import conform


class Story:
    """Rows written by hand, a microsecond apart."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(
        self, op: str, client: str, offset: int | None = None, value: int | None = None, **more: Any
    ) -> None:
        placed = op not in ("begin", "end")
        row = {
            "client": client,
            "op": op,
            "topic": "orders" if placed else None,
            "partition": 0 if placed else None,
            "offset": offset,
            "value": value,
            "outcome": "ok",
            "invoked_ns": len(self.rows) * 1000,
            "completed_ns": len(self.rows) * 1000 + 1,
        }
        self.rows.append(row | more)

    def transaction(self, client: str, number: int, offset: int | None, value: int, outcome: str) -> None:
        told = {"transaction": number, "transactional_id": "orders-service"}
        self.add("begin", client, **told)
        self.add("send", client, offset, value, outcome="info" if offset is None else "ok", **told)
        self.add("end", client, outcome=outcome, **told)

    def final(self, isolation: str, *found: tuple[int, int]) -> None:
        for offset, value in found:
            self.add("final", "final", offset, value, isolation=isolation)

    def judge(self, guarantee: Guarantee) -> Status:
        frame = pl.DataFrame(self.rows, infer_schema_length=None)
        return guarantee.judge(Recording(rows=conform(frame, source="the test"))).status


@pytest.mark.parametrize("aborted_at", [0, None])
def test_what_was_aborted_and_sent_again_is_no_aborted_read(aborted_at: int | None) -> None:
    """The committed record lies at its own offset; seen at the aborted one's, it is the aborted one."""
    story = Story()
    story.transaction("producer", 0, aborted_at, 7, "fail")
    story.transaction("producer", 1, 2, 7, "ok")
    story.final("uncommitted", (0, 7), (2, 7))
    story.final("committed", (2, 7))
    assert story.judge(no_aborted_read) is Status.PASS
    story.final("committed", (0, 7))
    assert story.judge(no_aborted_read) is (Status.PASS if aborted_at is None else Status.FAIL)


def test_what_the_successor_sent_again_is_no_record_of_a_zombie() -> None:
    """The old one asks for its commit, too late, and is refused; its successor worked on the same input."""
    story = Story()
    told = {"transaction": 0, "transactional_id": "orders-service"}
    story.add("begin", "old", **told)
    story.add("send", "old", 0, 7, **told)
    story.transaction("new", 0, 2, 7, "ok")
    story.add("end", "old", outcome="info", **told)
    story.final("committed", (2, 7))
    assert story.judge(fencing) is Status.PASS
    story.final("committed", (0, 7))
    assert story.judge(fencing) is Status.FAIL


@pytest.mark.parametrize("aborted_at", [0, None])
def test_an_aborted_place_makes_no_circle_of_who_sent_again(aborted_at: int | None) -> None:
    """Another's record between the two places is behind neither of one transaction's records and before the other."""
    story = Story()
    story.transaction("producer", 0, aborted_at, 7, "fail")
    story.transaction("another", 0, 2, 8, "ok")
    story.transaction("producer", 1, 4, 7, "ok")
    story.final("uncommitted", (0, 7), (2, 8), (4, 7))
    assert story.judge(no_dirty_cycle) is Status.PASS


def test_a_committed_reading_shows_the_second_of_two_places() -> None:
    """Nobody read uncommitted at the end, so the aborted record is not there, and did not move."""
    story = Story()
    story.transaction("producer", 0, 0, 7, "fail")
    story.transaction("producer", 1, 2, 7, "ok")
    story.final("committed", (2, 7))
    assert story.judge(offsets_agree) is Status.PASS
    story.transaction("producer", 2, 4, 8, "ok")
    story.final("committed", (6, 8))
    assert story.judge(offsets_agree) is Status.FAIL


@pytest.mark.parametrize(("start", "status"), [(1, Status.PASS), (0, Status.FAIL)])
def test_retention_may_take_the_first_of_two_places(start: int, status: Status) -> None:
    """Below the log's start nothing lies elsewhere; above it the first acknowledgement was wrong."""
    story = Story()
    story.add("send", "producer", 0, 7)
    story.add("send", "producer", 5, 7)
    story.add("log_start", "final", start)
    story.final("uncommitted", (5, 7))
    assert story.judge(offsets_agree) is status


@pytest.mark.parametrize("aborted_at", [0, None])
def test_an_aborted_delivery_has_no_place_in_the_order_of_a_key(aborted_at: int | None) -> None:
    """A reader of uncommitted records was given the first, aborted record before another's, the second one behind."""
    story = Story()
    story.transaction("producer", 0, aborted_at, 7, "fail")
    story.add("send", "another", 2, 8)
    story.transaction("producer", 1, 3, 7, "ok")
    for row in story.rows:
        row["key"] = 1 if row["op"] == "send" else None
    for offset, value in ((0, 7), (2, 8), (3, 7)):
        story.add("read", "reader", offset, value, isolation="uncommitted")
    assert story.judge(key_order) is Status.PASS
    del story.rows[-2:]
    story.add("read", "reader", 3, 7)
    story.add("read", "reader", 2, 8)
    assert story.judge(key_order) is Status.FAIL


@pytest.mark.parametrize("outcome", ["fail", "info"])
def test_who_reads_committed_records_is_not_held_to_the_aborted_place(outcome: str) -> None:
    """Nobody told the isolation of a reader that passed over it, and that waits for the second place."""
    story = Story()
    story.add("send", "another", 0, 8)
    story.transaction("producer", 0, 1, 7, outcome)
    story.add("send", "another", 3, 9)
    story.transaction("producer", 1, 4, 7, "ok")
    story.final("uncommitted", (0, 8), (1, 7), (3, 9), (4, 7))
    for offset, value in ((0, 8), (3, 9)):
        story.add("read", "reader", offset, value, group="billing")
    assert story.judge(reader_order) is Status.PASS
    assert story.judge(at_least_once) is Status.UNKNOWN
    story.add("read", "reader", 4, 7, group="billing")
    assert story.judge(at_least_once) is Status.PASS


def test_two_that_may_both_have_written_the_same_records_make_no_circle() -> None:
    """Killed before a word of their ends: whoever is taken for the first of them is so in every partition."""
    story = Story()
    for client in ("killed", "successor"):
        story.add("begin", client, transaction=0)
        for partition in range(12):
            story.add("send", client, None, 7 + partition, partition=partition, transaction=0, outcome="info")
        story.add("end", client, transaction=0, outcome="info")
    for partition in range(12):
        story.add("final", "final", 0, 7 + partition, partition=partition, isolation="committed")
    assert story.judge(no_dirty_cycle) is Status.PASS
