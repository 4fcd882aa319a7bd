"""A5: consumer groups: sharing partitions, idling, joining, leaving, crashing, and two groups side by side."""

import polars as pl
import pytest
from confluent_kafka import KafkaError

from kafkaos.backends.ready import wait_until
from kafkaos.checks import available, no_acknowledged_loss, no_phantom, offsets_agree, reader_order
from kafkaos.faults import KillClient

WAIT_S = 120
PARTITIONS = 3


@pytest.mark.scenario("A5")
@pytest.mark.kafka_cluster("single", "three-mtls")
def test_partitions_move_when_members_join_leave_and_crash_and_have_one_owner_each(kafka_cluster, chaos):
    """1, 2, 3 and 4 members share 3 partitions (the fourth idles); a leave and a crash give them to the others."""
    _join_leave_and_crash(kafka_cluster, chaos, protocol="classic")


@pytest.mark.scenario("A5")
@pytest.mark.kafka_cluster("single")
def test_the_same_holds_in_the_group_protocol_of_kip_848(kafka_cluster, chaos):
    """With `group.protocol=consumer`, in which a member epoch takes the generation's place, nothing of it changes."""
    _join_leave_and_crash(kafka_cluster, chaos, protocol="consumer")


@pytest.mark.scenario("A5")
@pytest.mark.kafka_cluster("single", "three")
def test_two_groups_read_independently_of_each_other(kafka_cluster, chaos):
    """Each group reads every record and keeps its own offsets: one that is away does not hold up the other."""
    topic = kafka_cluster.create_topic("two-groups", partitions=PARTITIONS)
    producer = chaos.producer(topic, rate=1000, partition="round_robin")
    billing = chaos.consumer(topic, group="billing")
    shipping = chaos.consumer(topic, group="shipping")
    for consumer in (billing, shipping):
        consumer.wait_assigned(PARTITIONS, timeout_s=WAIT_S)
        consumer.wait_read(500, timeout_s=WAIT_S)
    assert shipping.stop() == 0
    stopped_at = shipping.read
    billing.wait_read(1000, after=billing.mark(), timeout_s=WAIT_S)
    assert shipping.read == stopped_at
    shipping.start()
    chaos.verify(no_acknowledged_loss, no_phantom, offsets_agree, reader_order)

    rows = chaos.recording.rows
    assert producer.acknowledged > 1500
    assert _unread(rows, "billing") == 0
    assert _unread(rows, "shipping") == 0


def _join_leave_and_crash(kafka_cluster, chaos, *, protocol: str) -> None:
    """Members come one by one, then one goes in order and one crashes; judged by what was recorded."""
    topic = kafka_cluster.create_topic("shared", partitions=PARTITIONS)
    producer = chaos.producer(topic, rate=300, partition="round_robin")
    members = []
    for shares in ([3], [1, 2], [1, 1, 1], [0, 1, 1, 1]):
        name = f"member-{len(members) + 1}"
        members.append(chaos.consumer(topic, name=name, group="team", group_protocol=protocol))
        _wait_shares(members, shares)
        producer.wait_acknowledged(100, after=producer.mark(), timeout_s=WAIT_S)

    # On a machine that is short of time a member may have missed its session meanwhile, and all share anew.
    _wait_shares(members, [0, 1, 1, 1])
    leaver = next(member for member in members if member.assigned)
    assert leaver.stop() == 0
    members.remove(leaver)
    _wait_shares(members, [1, 1, 1])

    victim = members.pop()
    with chaos.fault(KillClient(victim.name, restart=False)):
        _wait_shares(members, [1, 2])
        for member in members:
            member.wait_read(50, after=member.mark(), timeout_s=WAIT_S)
    chaos.verify(no_acknowledged_loss, no_phantom, offsets_agree, reader_order, available)

    rows = chaos.recording.rows
    owners = rows.filter(op="assign").group_by("partition", "generation").agg(pl.col("client").unique())
    assert owners["generation"].null_count() == 0
    assert owners["generation"].n_unique() >= 4
    assert owners["client"].list.len().unique().to_list() == [1]
    _assert_tenures_do_not_overlap(rows)
    assert _unread(rows, "team") == 0


def _wait_shares(members, shares: list[int]) -> None:
    """Until the members own so many partitions each, in any order."""
    wait_until(
        lambda: sorted(member.assigned for member in members) == shares,
        timeout_s=WAIT_S,
        what=f"{len(members)} members share {PARTITIONS} partitions as {shares}",
    )


def _unread(rows: pl.DataFrame, group: str) -> int:
    """Acknowledged records that no member of the group was given."""
    sent = rows.filter(op="send", outcome="ok").select("value")
    assert sent.height > 0
    read = rows.filter(pl.col("op") == "read", pl.col("group") == group).select("value")
    return sent.join(read, on="value", how="anti").height


def _assert_tenures_do_not_overlap(rows: pl.DataFrame) -> None:
    """No member is given a partition before the one who had it gave it up, or was last heard of.

    A member that missed its session notes the loss when it hears of it, which is after the partition went to another:
    its tenure ended with what it did last.
    """
    last_heard = rows.group_by("client", "incarnation").agg(last_ns=pl.col("invoked_ns").max())
    mine = ["client", "incarnation", "partition"]
    moves = (
        rows.filter(pl.col("op").is_in(["assign", "read", "revoke"]))
        .sort("client", "row")
        .with_columns(before_ns=pl.col("invoked_ns").shift().over(mine))
        .filter(pl.col("op") != "read")
        .with_columns(
            invoked_ns=pl.when(pl.col("error") == KafkaError._ASSIGNMENT_LOST)
            .then("before_ns")
            .otherwise("invoked_ns")
        )
    )
    tenures = (
        moves.with_columns(
            ended_ns=pl.col("invoked_ns").shift(-1).over("client", "incarnation", "partition"),
        )
        .filter(op="assign")
        .join(last_heard, on=["client", "incarnation"])
        .with_columns(ended_ns=pl.coalesce("ended_ns", "last_ns"))
        .sort("invoked_ns")
        .with_columns(before_ns=pl.col("ended_ns").shift().over("partition"))
        .drop_nulls("before_ns")
    )
    assert tenures.height >= PARTITIONS
    assert (tenures["invoked_ns"] >= tenures["before_ns"]).all()
