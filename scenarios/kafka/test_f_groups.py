"""Members of a group that are late, crash, storm or change their protocol: nothing is skipped, one owner at a time."""

import pytest

from kafkaos.backends.ready import wait_until
from kafkaos.checks import (
    at_least_once,
    commits_follow_work,
    no_acknowledged_loss,
    no_phantom,
    offsets_agree,
    one_owner,
    reader_order,
)
from kafkaos.faults import ExceedPollInterval, FenceStaticMember, KillBeforeCommit, RebalanceStorm

WAIT_S = 120
PARTITIONS = 4
# Kafka asks for an interval that is not shorter than the session.
IMPATIENT = {"max.poll.interval.ms": 6000}
SAFE = (no_acknowledged_loss, no_phantom, offsets_agree, reader_order)
WORKED = (at_least_once, commits_follow_work)


@pytest.mark.scenario("faults-groups")
@pytest.mark.kafka_cluster("single")
def test_a_member_that_is_late_for_its_poll_is_put_out_and_comes_back(kafka_cluster, chaos):
    """A consumer busy longer than max.poll.interval.ms loses its partitions to the other one, and rejoins after."""
    topic = kafka_cluster.create_topic("orders", partitions=PARTITIONS)
    producer = chaos.producer(topic, rate=300, partition="round_robin")
    busy, other = (
        chaos.consumer(topic, name=name, group="team", record_processing=True, config=IMPATIENT)
        for name in ("busy", "other")
    )
    for member in (busy, other):
        member.wait_assigned(PARTITIONS // 2, timeout_s=WAIT_S)
    producer.wait_acknowledged(300, timeout_s=WAIT_S)
    with chaos.fault(ExceedPollInterval("busy")):
        other.wait_assigned(PARTITIONS, timeout_s=WAIT_S)
        other.wait_read(300, after=other.mark(), timeout_s=WAIT_S)
    for member in (busy, other):
        member.wait_assigned(PARTITIONS // 2, timeout_s=WAIT_S)
    chaos.verify(*SAFE, *WORKED)


@pytest.mark.scenario("faults-groups", "A5")
@pytest.mark.kafka_cluster("single")
def test_a_static_member_that_restarts_within_its_session_causes_no_rebalance(kafka_cluster, chaos):
    """With `group.instance.id` a member that goes and comes back keeps its partitions: the other notices nothing."""
    # Groups of static members are of one test alone: the seats stay in them until the sessions are over.
    topic = kafka_cluster.create_topic("orders", partitions=PARTITIONS)
    chaos.producer(topic, rate=300, partition="round_robin")
    leaver, other = (
        chaos.consumer(
            topic, name=name, group="seated-team", group_instance_id=f"seat-of-{name}", record_processing=True,
            config={"session.timeout.ms": 30_000},
        )
        for name in ("leaver", "other")
    )  # fmt: skip
    for member in (leaver, other):
        member.wait_assigned(PARTITIONS // 2, timeout_s=WAIT_S)
    rebalances = other.counters.rebalances
    assert leaver.stop() == 0
    other.wait_read(100, after=other.mark(), timeout_s=WAIT_S)
    leaver.start()
    leaver.wait_assigned(PARTITIONS // 2, timeout_s=WAIT_S)
    leaver.wait_read(100, after=leaver.mark(), timeout_s=WAIT_S)
    assert other.counters.rebalances == rebalances
    chaos.verify(*SAFE, *WORKED)


@pytest.mark.scenario("faults-groups")
@pytest.mark.kafka_cluster("single")
def test_who_takes_a_static_members_seat_fences_it(kafka_cluster, chaos):
    """Of two processes with the same `group.instance.id` the later one has the partitions, the earlier one ends."""
    topic = kafka_cluster.create_topic("orders", partitions=PARTITIONS)
    producer = chaos.producer(topic, rate=300, partition="round_robin")
    seat = {"group": "fenced-team", "group_instance_id": "seat-1", "record_processing": True}
    first = chaos.consumer(topic, name="first", **seat)
    second = chaos.consumer(topic, name="second", start=False, **seat)
    first.wait_assigned(PARTITIONS, timeout_s=WAIT_S)
    first.wait_read(100, timeout_s=WAIT_S)
    with chaos.fault(FenceStaticMember("first", "second")):
        second.wait_assigned(PARTITIONS, timeout_s=WAIT_S)
        second.wait_read(100, after=second.mark(), timeout_s=WAIT_S)
    producer.wait_acknowledged(100, after=producer.mark(), timeout_s=WAIT_S)
    first.wait_assigned(PARTITIONS, timeout_s=WAIT_S)
    chaos.verify(*SAFE, *WORKED)


@pytest.mark.scenario("faults-groups")
@pytest.mark.kafka_cluster("single")
def test_a_rebalance_storm_and_a_kill_between_work_and_commit_skip_nothing(kafka_cluster, chaos):
    """Members that leave and join again and again, and one killed before its commit: every record is processed."""
    topic = kafka_cluster.create_topic("orders", partitions=PARTITIONS)
    producer = chaos.producer(topic, rate=300, partition="round_robin")
    steady, restless = (
        chaos.consumer(topic, name=name, group="team", record_processing=True, commit_interval_ms=200)
        for name in ("steady", "restless")
    )
    for member in (steady, restless):
        member.wait_assigned(PARTITIONS // 2, timeout_s=WAIT_S)
    with chaos.fault(RebalanceStorm("restless")):
        producer.wait_acknowledged(100, after=producer.mark(), timeout_s=WAIT_S)
    with chaos.fault(KillBeforeCommit("steady")) as killed:
        assert sum(killed.facts["uncommitted"].values()) > 0
    steady.wait_read(100, after=steady.mark(), timeout_s=WAIT_S)
    chaos.verify(*SAFE, *WORKED)


@pytest.mark.scenario("faults-groups", "A5")
@pytest.mark.kafka_cluster("single")
def test_a_group_goes_from_the_classic_to_the_consumer_protocol_member_by_member(kafka_cluster, chaos):
    """Two classic members are replaced one by one by members of KIP-848: the group goes on from its offsets."""
    topic = kafka_cluster.create_topic("orders", partitions=PARTITIONS)
    chaos.producer(topic, rate=300, partition="round_robin")
    team = {"group": "team", "record_processing": True}
    members = [chaos.consumer(topic, name=f"classic-{n}", **team) for n in (1, 2)]
    for member in members:
        member.wait_assigned(PARTITIONS // 2, timeout_s=WAIT_S)
    for n in (1, 2):
        assert members.pop(0).stop() == 0
        members.append(chaos.consumer(topic, name=f"new-{n}", group_protocol="consumer", **team))
        wait_until(
            lambda: [member.assigned for member in members] == [PARTITIONS // 2] * 2,
            timeout_s=WAIT_S,
            what="the members of both protocols share the partitions",
        )
    members[-1].wait_read(100, after=members[-1].mark(), timeout_s=WAIT_S)
    chaos.verify(*SAFE, *WORKED, one_owner)
