"""Bounded re-reading by hand-written histories: what counts as done again, below what, and of whom."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from kafkaos.checks import BoundedRereading, Status, bounded_rereading
from kafkaos.history import Recording
from kafkaos.history.columns import REQUIRED, SCHEMA, conform


class Group:
    """One group's rows on orders-0, a millisecond apart."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, op: str, incarnation: int, offset: int | None = None, **more: Any) -> None:
        at_ns = (len(self.rows) + 1) * 1_000_000
        row = {"client": "billing-1", "group": "billing", "op": op, "topic": "orders", "partition": 0}
        row |= {
            "offset": offset,
            "value": offset,
            "outcome": "ok",
            "invoked_ns": at_ns,
            "completed_ns": at_ns,
        }
        self.rows.append(row | {"incarnation": incarnation, **more})

    def life(
        self, incarnation: int, offsets: range, *, done: int | None = None, commit: int | None = None
    ) -> None:
        """Assigned, then each record read and done (the first `done`), then perhaps a confirmed commit."""
        self.add("assign", incarnation)
        for place, offset in enumerate(offsets):
            self.add("read", incarnation, offset)
            if done is None or place < done:
                self.add("process", incarnation, offset)
        if commit is not None:
            self.add("commit", incarnation, commit, value=None)

    def judge(self, guarantee: BoundedRereading) -> Any:
        table = pl.DataFrame(self.rows, infer_schema_length=None)
        assert set(REQUIRED) <= set(table.columns) <= set(SCHEMA)
        return guarantee.judge(Recording(rows=conform(table, source="a test")))


@pytest.mark.parametrize(("limit", "status"), [(2, Status.FAIL), (3, Status.PASS), (None, Status.PASS)])
def test_what_one_incarnation_did_is_done_again_at_most_so_often(limit: int | None, status: Status) -> None:
    """Three records done and not committed are done again: legal back to the commit, within a limit of three."""
    group = Group()
    group.life(0, range(5), commit=2)
    group.life(1, range(2, 8), commit=8)
    verdict = group.judge(BoundedRereading(limit=limit))
    assert verdict.status is status, verdict.sentence
    assert verdict.counts["done_again"] == verdict.counts["most_of_one"] == 3


def test_records_that_were_given_and_not_done_are_no_work_done_again() -> None:
    """Of a batch of five only one was done before the crash."""
    group = Group()
    group.life(0, range(5), done=1)
    group.life(1, range(5), commit=5)
    verdict = group.judge(BoundedRereading(limit=1))
    assert verdict.status is Status.PASS, verdict.sentence
    assert verdict.counts["done_again"] == 1


def test_each_crash_has_the_limit_for_itself() -> None:
    """One record done again after each of three crashes is within a limit of one."""
    group = Group()
    for incarnation in range(4):
        group.life(incarnation, range(1))
    assert group.judge(BoundedRereading(limit=1)).status is Status.PASS


def test_without_process_rows_the_deliveries_are_the_work() -> None:
    """A group that tells no work is judged by what it was given."""
    group = Group()
    group.life(0, range(5), done=0)
    group.life(1, range(5), done=0)
    verdict = group.judge(BoundedRereading(limit=4))
    assert verdict.status is Status.FAIL
    assert "5 records were done again, not at most 4" in verdict.witnesses[0].sentence


def test_reading_below_a_confirmed_commit_breaks_it_whatever_the_limit() -> None:
    """The group had committed offset 4, and its next reader began at 2."""
    group = Group()
    group.life(0, range(4), commit=4)
    group.life(1, range(2, 6))
    verdict = group.judge(BoundedRereading(limit=100))
    assert verdict.status is Status.FAIL
    assert (verdict.witnesses[0].offset, verdict.counts["below_commit"]) == (2, 2)


@pytest.mark.parametrize("change", [{"outcome": "info", "completed_ns": None}, {"completed_ns": 10**15}])
def test_a_commit_that_was_not_confirmed_before_promises_nothing(change: dict[str, Any]) -> None:
    """Unanswered, or answered only after the next reader had begun."""
    group = Group()
    group.life(0, range(4), commit=4)
    group.rows[-1] |= change
    group.life(1, range(6))
    assert group.judge(bounded_rereading).status is Status.PASS


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ({"outcome": "ok"}, Status.FAIL),
        ({"outcome": "fail"}, Status.PASS),
        ({"outcome": "info", "completed_ns": None}, Status.PASS),
        ({"outcome": "ok", "completed_ns": 10**15}, Status.PASS),
    ],
)
def test_offsets_of_a_transaction_are_committed_when_it_is(end: dict[str, Any], status: Status) -> None:
    """What was sent to a transaction that was aborted, or not known to be committed yet, promises nothing."""
    group = Group()
    group.life(0, range(4), commit=4)
    group.rows[-1] |= {"transaction": 1}
    group.add("end", 0, topic=None, partition=None, transaction=1, **end)
    group.life(1, range(6))
    assert group.judge(bounded_rereading).status is status


def test_a_seek_asks_for_reading_again() -> None:
    """Back to the beginning on purpose, below every commit."""
    group = Group()
    group.life(0, range(4), commit=4)
    group.add("assign", 1)
    group.add("seek", 1, 0)
    for offset in range(6):
        group.add("read", 1, offset)
        group.add("process", 1, offset)
    verdict = group.judge(BoundedRereading(limit=0))
    assert verdict.status is not Status.FAIL, verdict.sentence


def test_another_group_is_not_judged() -> None:
    """`group` picks one; with nobody in it nothing is known."""
    group = Group()
    group.life(0, range(5))
    group.life(1, range(5))
    assert group.judge(BoundedRereading(limit=0, group="billing")).status is Status.FAIL
    assert group.judge(BoundedRereading(limit=0, group="audit")).status is Status.UNKNOWN


def test_without_a_second_reader_nothing_is_known() -> None:
    """No crash and no take-over: the bound was not tried."""
    group = Group()
    group.life(0, range(5), commit=5)
    assert group.judge(bounded_rereading).status is Status.UNKNOWN
