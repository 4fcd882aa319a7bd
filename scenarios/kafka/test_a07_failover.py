"""A7: fail-over of a partition's leader, of the controller and of a group's coordinator."""

import polars as pl
import pytest
from confluent_kafka import OFFSET_BEGINNING

from kafkaos.checks import (
    available,
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
    producer_order,
    reader_order,
    recovered,
)
from kafkaos.faults import Kill
from kafkaos.faults.roles import controller, coordinator, leader

WAIT_S = 120
SAFE = (
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
    producer_order,
    reader_order,
    available,
)


@pytest.mark.scenario("A7")
@pytest.mark.kafka_cluster("three", "three-mtls", brokers=3)
def test_a_killed_leader_is_replaced_out_of_the_isr_and_rejoins_it(kafka_cluster, chaos):
    """Leader killed: a replica in sync leads, clients go on; the broker comes back into the ISR as a follower."""
    topic = kafka_cluster.create_topic("orders", partitions=3)
    producer = chaos.producer(topic, rate=1000, partition="round_robin")
    consumer = chaos.consumer(topic, group="billing")
    # Recovery is told for partitions that were acknowledged before, and reading may be ahead of the reports.
    producer.wait_acknowledged(producer.sent + 500, timeout_s=WAIT_S)
    consumer.wait_read(500, timeout_s=WAIT_S)

    with chaos.fault(Kill(leader(topic, partition=0))) as hit:
        before = hit.before.partition(topic, 0)
        now = kafka_cluster.observe([topic]).partition(topic, 0)
        assert now.leader != hit.target
        assert now.leader in before.isr
        assert now.leader_epoch > before.leader_epoch
        producer.wait_acknowledged(1000, after=producer.mark(), timeout_s=WAIT_S)
        consumer.wait_read(1000, after=consumer.mark(), timeout_s=WAIT_S)
        assert hit.target not in kafka_cluster.observe([topic]).partition(topic, 0).isr
    # Healthy means that all are in the ISR.
    kafka_cluster.wait_healthy(timeout_s=WAIT_S)
    producer.wait_acknowledged(500, after=producer.mark(), timeout_s=WAIT_S)
    chaos.verify(*SAFE, recovered(within="15s"))


@pytest.mark.scenario("A7")
@pytest.mark.kafka_cluster("three", brokers=3)
def test_what_a_dead_leader_had_is_read_from_the_replicas(kafka_cluster, chaos):
    """Records that were written through a broker are all read by a new reader while that broker is dead."""
    topic = kafka_cluster.create_topic("archive")
    producer = chaos.producer(topic, count=2000)
    producer.wait_acknowledged(2000, timeout_s=WAIT_S)
    with chaos.fault(Kill(leader(topic))) as hit:
        reader = chaos.consumer(topic, name="late-reader", assignment=((topic, 0, OFFSET_BEGINNING),))
        reader.wait_read(2000, timeout_s=WAIT_S)
        assert not kafka_cluster.is_running(hit.target)
    chaos.verify(no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, reader_order)
    assert reader.read == 2000


@pytest.mark.scenario("A7")
@pytest.mark.kafka_cluster("three-combined", only="it needs more than one controller")
def test_a_killed_controller_is_replaced_and_the_cluster_can_be_administered(kafka_cluster, chaos):
    """Controller killed: another of the quorum takes over; topics can be created and traffic goes on meanwhile."""
    topic = kafka_cluster.create_topic("orders", partitions=3)
    producer = chaos.producer(topic, rate=1000, partition="round_robin")
    consumer = chaos.consumer(topic, group="billing")
    # Recovery is told for partitions that were acknowledged before, and reading may be ahead of the reports.
    producer.wait_acknowledged(producer.sent + 500, timeout_s=WAIT_S)
    consumer.wait_read(500, timeout_s=WAIT_S)

    with chaos.fault(Kill(controller())) as hit:
        state = kafka_cluster.observe()
        assert hit.before.controller == hit.target
        living = {1, 2, 3} - {hit.target}
        assert state.controller in living
        # Kafka's own choice may fall on the dead broker, also when it is fenced: its replica is not in sync then.
        kafka_cluster.create_topic("made-by-the-new-controller", replicas=sorted(living))
        producer.wait_acknowledged(1000, after=producer.mark(), timeout_s=WAIT_S)
        consumer.wait_read(1000, after=consumer.mark(), timeout_s=WAIT_S)
    chaos.verify(*SAFE, recovered(within="20s"))


@pytest.mark.scenario("A7")
@pytest.mark.kafka_cluster("three", brokers=3)
def test_a_killed_coordinator_is_replaced_and_the_group_goes_on_with_its_offsets(kafka_cluster, chaos):
    """Coordinator killed: another broker takes the group over, commits are confirmed again, nothing is skipped."""
    topic = kafka_cluster.create_topic("orders", partitions=3)
    group = "billing"
    producer = chaos.producer(topic, rate=1000, partition="round_robin")
    consumer = chaos.consumer(topic, group=group)
    # Recovery is told for partitions that were acknowledged before, and reading may be ahead of the reports.
    producer.wait_acknowledged(producer.sent + 500, timeout_s=WAIT_S)
    consumer.wait_read(500, timeout_s=WAIT_S)
    consumer.wait_until(lambda: consumer.committed > 0, "told that a commit is done", timeout_s=WAIT_S)

    with chaos.fault(Kill(coordinator(group=group))) as hit:
        assert kafka_cluster.coordinator(group) != hit.target
        committed = consumer.committed
        consumer.wait_read(1000, after=consumer.mark(), timeout_s=WAIT_S)
        consumer.wait_until(
            lambda: consumer.committed >= committed + 10,
            "told that 10 more commits are done",
            timeout_s=WAIT_S,
        )
    producer.wait_acknowledged(500, after=producer.mark(), timeout_s=WAIT_S)
    chaos.verify(*SAFE, recovered(within="15s"))

    # What librdkafka sends again to the new coordinator must not come behind a later commit, or the group is set back.
    rows = chaos.recording.rows
    healed_ns = rows.filter(op="heal")["invoked_ns"].item()
    commits = rows.filter(pl.col("op") == "commit", pl.col("invoked_ns") < healed_ns).sort("invoked_ns")
    earlier_ns = pl.col("completed_ns").shift().over("partition")
    assert commits.height > 10
    assert commits.filter(pl.col("invoked_ns") < earlier_ns).height == 0
