"""What looks wrong and is legal, and what was not observed: the checks must say pass, or unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from kafkaos.checks import (
    GUARANTEES,
    Available,
    Guarantee,
    NoAcknowledgedLoss,
    NoDuplicates,
    OffsetsAgree,
    Status,
    Verdict,
    at_least_once,
    atomic_transactions,
    no_aborted_read,
    no_acknowledged_loss,
    no_dirty_cycle,
    no_duplicates,
    no_phantom,
    offsets_agree,
    one_owner,
    producer_order,
    reader_order,
    real_time_order,
    recovered,
    replicas_agree,
)
from kafkaos.history import Recording
from kafkaos.history.columns import REQUIRED, SCHEMA, conform

S = 1_000_000_000
PLAIN = {
    "no_acknowledged_loss",
    "offsets_agree",
    "no_duplicates",
    "no_phantom",
    "producer_order",
    "reader_order",
}
"""What sends, reads and a final reader tell, with no completions, keys, groups, transactions or faults."""


class History:
    """A few rows written by hand; time goes on by a millisecond a row, unless a row says `at_ns`."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(
        self, op: str, client: str, offset: int | None = None, value: int | None = None, **more: Any
    ) -> None:
        time = more.pop("at_ns", S + len(self.rows) * 1_000_000)
        row = {
            "client": client,
            "op": op,
            "topic": "orders",
            "partition": 0,
            "offset": offset,
            "value": value,
            "outcome": "ok",
            "invoked_ns": time,
            "completed_ns": time,
        }
        self.rows.append(row | more)

    def sent(
        self, values: Sequence[int], *, offsets: Sequence[int | None] | None = None, **more: Any
    ) -> None:
        for value, offset in zip(values, offsets or values, strict=True):
            self.add("send", "producer", offset, value, **more)

    def read(self, offsets: Sequence[int], client: str = "consumer", **more: Any) -> None:
        for offset in offsets:
            self.add("read", client, offset, offset, **{"isolation": "uncommitted", **more})

    def final(
        self,
        offsets: Sequence[int],
        *,
        start: int = 0,
        end: int | None = None,
        reached: int | None = None,
        isolation: str = "uncommitted",
        **more: Any,
    ) -> None:
        for offset in offsets:
            self.add("final", "final", offset, offset, isolation=isolation, **more)
        end = max(offsets, default=-1) + 1 if end is None else end
        for op, bound in (
            ("log_start", start),
            ("log_end", end),
            ("reached", end if reached is None else reached),
        ):
            self.add(op, "final", bound, isolation=isolation)

    def judge(self, guarantee: Guarantee) -> Verdict:
        frame = pl.DataFrame(self.rows, infer_schema_length=None)
        return guarantee.judge(Recording(rows=conform(frame, source="the test")))


@pytest.fixture
def history() -> History:
    return History()


@pytest.mark.parametrize("guarantee", [kind() for kind in GUARANTEES.values()], ids=lambda given: given.name)
def test_an_empty_recording_is_unknown(guarantee: Guarantee) -> None:
    """A run in which nothing was observed holds no guarantee."""
    verdict = guarantee.judge(Recording(rows=pl.DataFrame(schema=SCHEMA)))
    assert verdict.status is Status.UNKNOWN


@pytest.mark.parametrize("guarantee", [kind() for kind in GUARANTEES.values()], ids=lambda given: given.name)
def test_only_the_required_columns_are_enough(guarantee: Guarantee, history: History) -> None:
    """A stranger's recording with the required columns alone is judged, whatever comes out."""
    history.sent([0, 1])
    history.read([0, 1])
    history.final([0, 1])
    frame = pl.DataFrame(history.rows, infer_schema_length=None).select(REQUIRED)
    verdict = guarantee.judge(Recording(rows=conform(frame, source="the test")))
    assert verdict.status is Status.PASS or not verdict.applicable, verdict.sentence
    assert verdict.applicable == (guarantee.name in PLAIN)


@pytest.mark.parametrize("outcome", ["info", "fail"])
def test_a_send_that_was_not_acknowledged_may_be_missing(history: History, outcome: str) -> None:
    """Only acknowledged records can be lost."""
    history.sent([0, 2])
    history.sent([1], offsets=[None], outcome=outcome)
    history.final([0, 2])
    assert history.judge(no_acknowledged_loss).status is Status.PASS


def test_a_record_below_the_log_start_is_exempt(history: History) -> None:
    """Retention may take records away."""
    history.sent([0, 1, 2])
    history.final([2], start=2)
    assert history.judge(no_acknowledged_loss).status is Status.PASS


def test_a_record_that_the_final_reader_did_not_reach_is_unseen(history: History) -> None:
    """Past the final reader's position a missing record is unknown, not lost."""
    history.sent([0, 1, 2])
    history.final([0, 1], end=3, reached=2)
    verdict = history.judge(no_acknowledged_loss)
    assert verdict.status is Status.UNKNOWN
    assert verdict.counts["unseen"] == 1


def test_a_record_that_the_final_reader_passed_is_lost_though_it_stopped_later(history: History) -> None:
    """Below the final reader's position a missing record is lost, even if it never reached the end."""
    history.sent([0, 1, 2, 3])
    history.final([0, 2], end=4, reached=3)
    verdict = history.judge(no_acknowledged_loss)
    assert verdict.status is Status.FAIL
    assert [witness.value for witness in verdict.witnesses] == [1]


def test_a_record_without_an_offset_is_lost_only_where_the_whole_log_was_seen(history: History) -> None:
    """An acknowledgement without an offset is found by its value."""
    history.sent([0, 1], offsets=[None, None])
    history.final([0])
    assert history.judge(no_acknowledged_loss).counts["lost"] == 1
    cut = History()
    cut.sent([0, 1], offsets=[None, None])
    cut.final([1], start=1)
    assert cut.judge(no_acknowledged_loss).status is Status.UNKNOWN


def test_a_whole_log_lost_is_a_loss(history: History) -> None:
    """An empty log with a known high watermark of 0 has lost all that was acknowledged."""
    history.sent([0, 1])
    history.final([], end=0)
    verdict = history.judge(no_acknowledged_loss)
    assert (verdict.status, verdict.counts["lost"]) == (Status.FAIL, 2)


def test_a_partition_whose_bounds_nobody_told_is_unseen(history: History) -> None:
    """A final reader without a leader to ask proves nothing."""
    history.sent([0])
    for op in ("log_start", "log_end", "reached"):
        history.add(op, "final", None, outcome="info", isolation="uncommitted")
    assert history.judge(no_acknowledged_loss).status is Status.UNKNOWN


def test_compaction_may_take_a_record_whose_key_came_again(history: History) -> None:
    """In a compacted topic only the last record of a key must stay."""
    history.sent([0, 1, 2], key=7)
    history.final([2], key=7)
    assert history.judge(no_acknowledged_loss).status is Status.FAIL
    assert history.judge(NoAcknowledgedLoss(compacted=("orders",))).status is Status.PASS


def test_compaction_goes_by_the_keys_of_the_sends(history: History) -> None:
    """A final reader need not tell keys; where nobody tells one, nobody knows whether it came again."""
    history.sent([0, 2], key=7)
    history.sent([1, 3], key=8)
    history.final([2, 3])
    guarantee = NoAcknowledgedLoss(compacted=("orders",))
    assert history.judge(guarantee).status is Status.PASS
    for row in history.rows:
        row.pop("key", None)
    verdict = history.judge(guarantee)
    assert (verdict.status, "no row tells its key" in verdict.witnesses[0].sentence) == (Status.UNKNOWN, True)
    assert history.judge(no_acknowledged_loss).status is Status.FAIL


@pytest.mark.parametrize(("begun", "status"), [(1, Status.PASS), (0, Status.FAIL)])
def test_retention_may_go_on_between_the_readings_of_both_isolations(
    history: History, begun: int, status: Status
) -> None:
    """What was gone when committed records were read was not hidden from their reader."""
    history.sent([0, 1])
    history.final([0, 1])
    history.final([1], start=begun, isolation="committed")
    assert history.judge(no_acknowledged_loss).status is status


@pytest.mark.parametrize(
    ("end", "status"), [("ok", Status.FAIL), ("fail", Status.PASS), ("info", Status.PASS)]
)
def test_a_record_counts_as_acknowledged_when_its_transaction_committed(
    history: History, end: str, status: Status
) -> None:
    """A lost record of an aborted or undecided transaction was promised to nobody."""
    history.sent([0])
    history.sent([1], transaction=1)
    history.add("end", "producer", transaction=1, outcome=end)
    history.final([0], end=3)
    assert history.judge(no_acknowledged_loss).status is status


def test_two_topics_may_have_the_same_offsets(history: History) -> None:
    """Offsets are compared within a topic's partition only."""
    history.sent([0, 1])
    history.sent([10, 11], offsets=[0, 1], topic="payments")
    history.final([0, 1])
    for offset in (0, 1):
        history.add("final", "final", offset, 10 + offset, topic="payments", isolation="uncommitted")
    assert history.judge(offsets_agree).status is Status.PASS
    assert history.judge(no_phantom).status is Status.PASS
    assert history.judge(no_duplicates).status is Status.PASS


def test_a_delivered_record_may_be_compacted_or_retained_away(history: History) -> None:
    """What retention took was not rewritten; compaction must be said of the topic."""
    history.sent([0, 1, 2])
    history.read([0, 1, 2])
    history.final([2], start=1)
    verdict = history.judge(offsets_agree)
    assert [witness.offset for witness in verdict.witnesses] == [1]
    assert history.judge(OffsetsAgree(compacted=("orders",))).status is Status.PASS


def test_reading_one_offset_again_is_no_duplicate(history: History) -> None:
    """Re-delivery is another reading of the same record."""
    history.sent([0, 1])
    history.read([0, 1, 0, 1])
    history.final([0, 1])
    assert history.judge(no_duplicates).status is Status.PASS


def test_a_value_may_be_there_as_often_as_it_was_sent(history: History) -> None:
    """An application that sends a record again has two sends of it; a third offset is a duplicate."""
    history.sent([5, 5], offsets=[0, 1])
    for offset in (0, 1):
        history.add("final", "final", offset, 5)
    assert history.judge(no_duplicates).status is Status.PASS
    history.add("final", "final", 2, 5)
    assert history.judge(no_duplicates).status is Status.FAIL


def test_an_unknown_send_may_repeat_only_where_that_was_said(history: History) -> None:
    """Without idempotence a send that ended unknown may be in the log several times."""
    history.sent([5], offsets=[None], outcome="info")
    for offset in (0, 1):
        history.add("final", "final", offset, 5)
    assert history.judge(no_duplicates).status is Status.FAIL
    assert history.judge(NoDuplicates(unknown_may_repeat=True)).status is Status.PASS


def test_an_acknowledged_send_may_repeat_only_of_a_client_that_was_named(history: History) -> None:
    """A leader voted out may have written what it refuses: without idempotence it is written again by the next one."""
    history.sent([5], offsets=[1])
    for offset in (0, 1):
        history.add("final", "final", offset, 5)
    assert history.judge(no_duplicates).status is Status.FAIL
    assert history.judge(NoDuplicates(may_repeat=("another",))).status is Status.FAIL
    excused = history.judge(NoDuplicates(may_repeat=("producer",)))
    assert excused.status is Status.PASS
    assert excused.sentence == "1 record, each at one offset but 1, which may repeat."


def test_an_unknown_send_that_is_read_is_no_phantom(history: History) -> None:
    """A send that ended unknown may be in the log."""
    history.sent([0], offsets=[None], outcome="info")
    history.final([0])
    assert history.judge(no_phantom).status is Status.PASS


def test_a_topic_to_which_nobody_recorded_sent_has_no_phantoms(history: History) -> None:
    """The output of an application that does not record its sends is not judged."""
    history.sent([0])
    history.final([0])
    history.add("final", "final", 0, 77, topic="invoices")
    assert history.judge(no_phantom).status is Status.PASS


def test_a_producer_restarted_begins_a_new_order(history: History) -> None:
    """Order is judged within an incarnation, by row numbers and not by times."""
    history.sent([0, 1], offsets=[4, 5])
    history.sent([2, 3], offsets=[0, 1], incarnation=1)
    assert history.judge(producer_order).status is Status.PASS
    history.sent([4], offsets=[2])
    verdict = history.judge(producer_order)
    assert verdict.status is Status.FAIL
    assert verdict.witnesses[0].value == 4


@pytest.mark.parametrize("reset", ["assign", "revoke", "seek"])
def test_a_reader_may_begin_again_after_a_rebalance_or_seek(history: History, reset: str) -> None:
    """Without the row between the same deliveries are a fall."""
    history.read([0, 1, 2], group="billing")
    history.add(reset, "consumer", group="billing")
    history.read([1, 2, 3], group="billing")
    history.final([0, 1, 2, 3])
    assert history.judge(reader_order).status is Status.PASS
    history.rows = [row for row in history.rows if row["op"] != reset]
    assert history.judge(reader_order).counts["fallen"] == 1


def test_a_reset_without_a_partition_is_one_of_all_partitions(history: History) -> None:
    """A client that says only that it was revoked starts anew everywhere."""
    history.read([0, 1])
    history.add("revoke", "consumer", topic=None, partition=None)
    history.read([0, 1])
    history.final([0, 1])
    assert history.judge(reader_order).status is Status.PASS


def test_a_restarted_consumer_begins_a_new_sequence(history: History) -> None:
    """A new incarnation of a group's member goes on from the last commit."""
    history.read([0, 1, 2], group="billing")
    history.read([1, 2, 3], group="billing", incarnation=1)
    history.final([0, 1, 2, 3])
    assert history.judge(reader_order).status is Status.PASS


@pytest.mark.parametrize(("other", "status"), [("c", Status.PASS), ("d", Status.FAIL)])
def test_a_static_member_that_comes_back_in_its_generation_is_one_owner(
    history: History, other: str, status: Status
) -> None:
    """Its next incarnation has its partition again, with no rebalance; another client that has it is a second owner."""
    history.add("assign", "c", group="g", generation=3)
    history.add("assign", other, group="g", generation=3, incarnation=1)
    assert history.judge(one_owner).status is status


def test_groups_are_judged_apart(history: History) -> None:
    """One group's position says nothing about another's, nor about a reader without a group."""
    history.read([0, 1], "consumer-a", group="billing")
    history.read([3], "consumer-b", group="audit")
    history.read([3], "consumer-c")
    history.final([0, 1, 2, 3])
    assert history.judge(reader_order).status is Status.PASS


def test_a_group_that_goes_on_behind_unread_records_has_skipped_them(history: History) -> None:
    """A group's second run that begins past the first one's end left records out, unless it sought there."""
    history.read([0, 1], "consumer-a", group="billing")
    history.add("assign", "consumer-b", group="billing")
    history.read([3], "consumer-b", group="billing")
    history.final([0, 1, 2, 3])
    verdict = history.judge(reader_order)
    assert [(witness.offset, witness.client) for witness in verdict.witnesses] == [(2, "consumer-b")]
    history.rows[2]["op"] = "seek"
    assert history.judge(reader_order).status is Status.PASS


def test_a_jump_over_an_offset_without_a_record_is_legal(history: History) -> None:
    """Transaction markers and compaction leave gaps."""
    history.read([0, 2, 5])
    history.final([0, 2, 5])
    assert history.judge(reader_order).status is Status.PASS


def test_a_committed_reader_passes_over_aborted_records(history: History) -> None:
    """Only an uncommitted reader must be given what an aborted transaction wrote."""
    history.read([0, 2], isolation="committed")
    history.final([0, 1, 2])
    history.final([0, 2], isolation="committed")
    assert history.judge(reader_order).status is Status.PASS
    for row in history.rows[:2]:
        row["isolation"] = "uncommitted"
    assert history.judge(reader_order).status is Status.FAIL


@pytest.mark.parametrize(("isolation", "status"), [(None, Status.PASS), ("uncommitted", Status.FAIL)])
def test_who_may_be_a_committed_reader_passes_over_aborted_records(
    history: History, isolation: str | None, status: Status
) -> None:
    """A recording need not tell the isolation of its readers, nor read committed records at the end."""
    history.sent([0, 3])
    history.sent([1], transaction=1)
    history.add("end", "producer", transaction=1, outcome="fail")
    history.read([0, 3], isolation=isolation)
    history.final([0, 1, 3])
    assert history.judge(reader_order).status is status


def test_a_committed_reading_of_the_end_that_found_nothing_is_one(history: History) -> None:
    """All was aborted, and the final reader of committed records was rightly given none."""
    history.sent([0], transaction=1)
    history.add("end", "producer", transaction=1, outcome="fail")
    history.final([0], end=2)
    assert history.judge(no_aborted_read).status is Status.UNKNOWN
    history.final([], end=2, isolation="committed")
    assert history.judge(no_aborted_read).status is Status.PASS


@pytest.mark.parametrize("op", ["process", "read"])
def test_work_without_a_value_is_known_by_its_offset(history: History, op: str) -> None:
    """Only what was not worked on at all was left out."""
    history.sent([0, 1, 2])
    history.final([0, 1, 2])
    for offset in (0, 1, 2):
        history.add(op, "billing", offset, None, group="billing")
    assert history.judge(at_least_once).status is Status.PASS
    del history.rows[-2]
    verdict = history.judge(at_least_once)
    assert [one.offset for one in verdict.witnesses] == [1]


@pytest.mark.parametrize(
    ("end", "status"), [("ok", Status.FAIL), ("fail", Status.UNKNOWN), (None, Status.UNKNOWN)]
)
def test_offsets_of_an_aborted_transaction_were_not_committed(
    history: History, end: str | None, status: Status
) -> None:
    """The group did not go on behind the last record: its transaction did not commit."""
    history.sent([0, 1])
    history.final([0, 1])
    history.add("begin", "app", transaction=1, topic=None, partition=None)
    history.add("process", "app", 0, 0, group="app")
    history.add("commit", "app", 2, group="app", transaction=1)
    if end:
        history.add("end", "app", transaction=1, topic=None, partition=None, outcome=end)
    assert history.judge(at_least_once).status is status


def test_a_jump_behind_the_final_reader_is_unknown(history: History) -> None:
    """Where the final reader did not look, nobody knows what lies between."""
    history.read([0, 5])
    history.final([0, 1], end=9, reached=2)
    assert history.judge(reader_order).status is Status.FAIL  # offset 1 was seen and left out
    unseen = History()
    unseen.read([1, 5])
    unseen.final([0, 1], end=9, reached=2)
    assert unseen.judge(reader_order).status is Status.UNKNOWN


def test_a_pause_in_which_nobody_waits_is_no_unavailability(history: History) -> None:
    """Between two waves of traffic nothing is outstanding, however long it takes."""
    history.sent([0], at_ns=S)
    history.sent([1], at_ns=500 * S)
    verdict = history.judge(Available(within_s=1))
    assert verdict.status is Status.PASS, verdict.sentence


def test_a_group_waits_for_no_record_that_it_cannot_be_given(history: History) -> None:
    """What is before a group's first position, or lost, is not awaited; what lies undelivered is."""
    history.sent([0, 1], at_ns=S)
    history.sent([2], at_ns=2 * S)  # lost
    history.read([1], at_ns=3 * S, group="billing")
    history.sent([3], at_ns=90 * S)
    history.read([3], at_ns=90 * S + 1, group="billing")
    history.final([0, 1, 3])
    assert history.judge(Available(within_s=5)).status is Status.PASS
    history.sent([4], at_ns=4 * S)
    history.read([4], at_ns=91 * S, group="billing")
    history.final([4])
    verdict = history.judge(Available(within_s=5))
    assert (verdict.status, verdict.counts["delivery_wait_all_s"]) == (Status.FAIL, 86.0)


def test_nothing_acknowledged_for_long_is_unavailability(history: History) -> None:
    """A cluster that never answers is down, not unknown."""
    history.sent([0], at_ns=S, outcome="info", completed_ns=90 * S)
    assert history.judge(Available(within_s=60)).status is Status.FAIL
    assert history.judge(Available(within_s=120)).status is Status.UNKNOWN


def _faulty(history: History, *, acknowledged_s: float, partition_1: bool = True) -> None:
    """Traffic to two partitions, a fault at 10 s that is in place at 11 s, and an acknowledgement after."""
    for partition in (0, 1):
        history.sent([partition], at_ns=5 * S, partition=partition)
    history.add(
        "inject", "harness", sequence=0, at_ns=10 * S, completed_ns=11 * S, topic=None, partition=None
    )
    history.sent([2], at_ns=int(10.5 * S), partition=0)  # the dying leader still answers
    for partition in (0, 1) if partition_1 else (0,):
        done = int(acknowledged_s * S)
        history.sent([3 + partition], at_ns=12 * S, completed_ns=done, partition=partition)


def test_recovery_is_counted_from_the_injection_and_only_by_later_sends(history: History) -> None:
    """An acknowledgement by the broker that is about to die is no recovery."""
    _faulty(history, acknowledged_s=20)
    verdict = history.judge(recovered(within="11s"))
    assert (verdict.status, verdict.counts["recovery_s"]) == (Status.PASS, 10.0)
    assert history.judge(recovered(within="9s")).status is Status.FAIL


def test_a_partition_that_nobody_tried_again_has_unknown_recovery(history: History) -> None:
    """All partitions that were in use must be acknowledged again; silence proves nothing."""
    _faulty(history, acknowledged_s=12, partition_1=False)
    verdict = history.judge(recovered(within="5s"))
    assert verdict.status is Status.UNKNOWN
    assert [witness.partition for witness in verdict.witnesses] == [1]


def test_recovery_from_the_healing_needs_a_healing(history: History) -> None:
    """`since="heal"` counts from the heal row, and without one is unknown."""
    _faulty(history, acknowledged_s=20)
    assert history.judge(recovered(within="5s", since="heal")).status is Status.UNKNOWN
    history.add("heal", "harness", sequence=0, at_ns=16 * S, topic=None, partition=None)
    history.sent([8], at_ns=17 * S, partition=0)
    history.sent([9], at_ns=17 * S, partition=1)
    verdict = history.judge(recovered(within="5s", since="heal"))
    assert (verdict.status, verdict.counts["recovery_s"]) == (Status.PASS, 1.0)


@pytest.mark.parametrize("values", [(None,), (0, None)])
def test_an_acknowledged_send_without_a_value_is_not_accounted_for(
    history: History, values: tuple[int | None, ...]
) -> None:
    """Nobody can look for its record: unknown, and neither a pass nor something that does not apply."""
    for offset, value in enumerate(values):
        history.add("send", "producer", offset, value)
    history.final([0])
    verdict = history.judge(no_acknowledged_loss)
    assert (verdict.status, verdict.applicable) == (Status.UNKNOWN, True)
    assert f"1 acknowledged send of {len(values)} has no value" in verdict.sentence
    history.rows = [row | {"transaction": 1} if row["value"] is None else row for row in history.rows]
    history.add("end", "producer", transaction=1, outcome="fail")
    assert "has no value" not in history.judge(no_acknowledged_loss).sentence


@pytest.mark.parametrize(("offset", "partition"), [(1, 0), (None, 0), (None, None)])
def test_a_record_that_the_final_reader_could_not_name_may_be_the_missing_one(
    history: History, offset: int | None, partition: int | None
) -> None:
    """It is there, and only its value is not known; a corrupt one is a loss."""
    history.sent([0])
    history.add("send", "producer", offset, 1, partition=partition)
    history.final([0], end=2)
    history.add("final", "final", 1, None, isolation="uncommitted")
    verdict = history.judge(no_acknowledged_loss)
    assert (verdict.status, verdict.counts["unseen"]) == (Status.UNKNOWN, 1)
    history.rows[-1]["corrupt"] = True
    assert history.judge(no_acknowledged_loss).status is Status.FAIL


def test_a_committed_record_that_could_not_be_named_is_not_hidden_or_torn(history: History) -> None:
    """The final reader of committed records was given something at that place."""
    history.add("begin", "producer", transaction=1, topic=None, partition=None)
    history.sent([0, 1, 2], transaction=1)
    history.add("end", "producer", transaction=1, topic=None, partition=None)
    history.final([0, 1, 2], end=4)
    history.final([0, 2], end=4, isolation="committed")
    assert history.judge(no_acknowledged_loss).status is Status.FAIL
    assert history.judge(atomic_transactions).status is Status.FAIL
    history.add("final", "final", 1, None, isolation="committed")
    assert history.judge(no_acknowledged_loss).status is Status.PASS
    assert history.judge(atomic_transactions).status is Status.UNKNOWN


def test_records_that_retention_took_are_told(history: History) -> None:
    """They are exempt, and the sentence says how many."""
    history.sent([0, 1, 2])
    history.final([2], start=2)
    assert history.judge(no_acknowledged_loss).sentence == (
        "All 3 acknowledged records are accounted for, 2 of them as older than the log's start."
    )


def test_transactions_that_never_met_make_no_circle(history: History) -> None:
    """A graph without edges has none, and nothing is left to find out."""
    history.add("begin", "producer", transaction=1, topic=None, partition=None)
    history.sent([0], transaction=1)
    history.add("end", "producer", transaction=1, topic=None, partition=None)
    history.final([0])
    verdict = history.judge(no_dirty_cycle)
    assert (verdict.status, verdict.applicable) == (Status.UNKNOWN, False)


def test_completions_that_nobody_told_are_not_made_up(history: History) -> None:
    """Of two sends that were under way together either may lie first; without their ends no order is known."""
    history.sent([0], offsets=[1], at_ns=S, completed_ns=9 * S)
    history.sent([1], offsets=[0], at_ns=2 * S, completed_ns=3 * S)
    assert history.judge(real_time_order).status is Status.PASS
    for row in history.rows:
        del row["completed_ns"]
    for guarantee in (real_time_order, Available(within_s=0.1)):
        verdict = history.judge(guarantee)
        assert (verdict.status, verdict.applicable) == (Status.UNKNOWN, False)
        assert "completion" in verdict.sentence
    history.sent([2], at_ns=10 * S)
    verdict = history.judge(Available(within_s=0.1))
    assert (verdict.status, verdict.applicable) == (Status.UNKNOWN, True)


def test_a_replica_without_an_end_ends_behind_its_last_batch(history: History) -> None:
    """`sequence` is a batch's last offset: a replica that has the last batch whole is not behind."""
    for replica in ("broker-1", "broker-2"):
        history.add("replica", replica, 0, 77, sequence=4)
        history.add("replica", replica, 5, 78, sequence=9)
    history.add("replica_end", "broker-1", 10)
    assert history.judge(replicas_agree).status is Status.PASS
    history.rows = [row for row in history.rows if (row["client"], row["offset"]) != ("broker-2", 5)]
    assert history.judge(replicas_agree).status is Status.UNKNOWN


def test_an_aborted_record_that_can_be_read_is_not_left_out_by_readers(history: History) -> None:
    """It is one breach, of aborted reads; the same value sent again and committed must be delivered."""
    history.add("begin", "producer", transaction=1, topic=None, partition=None)
    history.sent([1], transaction=1)
    history.add("end", "producer", transaction=1, topic=None, partition=None, outcome="fail")
    history.sent([0, 3])
    history.read([0, 3], isolation="committed")
    history.final([0, 1, 3])
    history.final([0, 1, 3], isolation="committed")
    assert history.judge(no_aborted_read).status is Status.FAIL
    assert history.judge(reader_order).status is Status.PASS
    history.sent([1], transaction=2)
    assert history.judge(reader_order).status is Status.FAIL


def test_a_transaction_that_can_be_read_and_has_no_end_is_unknown(history: History) -> None:
    """Whether its commit was asked for nobody told; an end of unknown outcome tells it."""
    history.add("begin", "producer", transaction=1, topic=None, partition=None)
    history.sent([0], transaction=1)
    history.final([0])
    history.final([], isolation="committed", end=2)
    assert history.judge(atomic_transactions).status is Status.PASS
    history.final([0], isolation="committed", end=2)
    verdict = history.judge(atomic_transactions)
    assert (verdict.status, "without an `end` row" in verdict.sentence) == (Status.UNKNOWN, True)
    history.sent([0], offsets=[1], transaction=2)
    assert history.judge(atomic_transactions).status is Status.PASS  # it may be the second one's
    del history.rows[-1]
    history.add("end", "producer", transaction=1, topic=None, partition=None, outcome="info", at_ns=S)
    assert history.judge(atomic_transactions).status is Status.PASS
