"""A4: where a consumer starts: the beginning, the end, an offset, or where its group had come to."""

import polars as pl
import pytest
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, TopicPartition
from confluent_kafka.admin import OffsetSpec

from kafkaos.backends.ready import wait_until
from kafkaos.checks import no_acknowledged_loss, no_phantom, offsets_agree, reader_order
from kafkaos.cluster import HasGroups
from kafkaos.faults import KillClient

WAIT_S = 120
SHORT_SESSION = {"session.timeout.ms": 2000, "heartbeat.interval.ms": 300}


@pytest.mark.scenario("A4")
@pytest.mark.kafka_cluster("single", "three-mtls")
def test_a_consumer_starts_at_the_beginning_at_the_end_or_at_a_given_offset(kafka_cluster, chaos):
    """Fixed positions and `auto.offset.reset` of a new group both decide the very first offset that is read."""
    topic = kafka_cluster.create_topic("positions")
    producer = chaos.producer(topic, rate=500)
    producer.wait_acknowledged(1000, timeout_s=WAIT_S)
    end = _end_offset(kafka_cluster, topic)
    assert end >= 1000
    readers = {
        "at-beginning": {"assignment": ((topic, 0, OFFSET_BEGINNING),)},
        "at-end": {"assignment": ((topic, 0, OFFSET_END),)},
        "at-400": {"assignment": ((topic, 0, 400),)},
        "new-group-earliest": {"group": "from-the-start"},
        "new-group-latest": {"group": "from-now-on", "auto_offset_reset": "latest"},
    }
    consumers = [chaos.consumer(topic, name=name, **settings) for name, settings in readers.items()]
    for consumer in consumers:
        consumer.wait_read(200, timeout_s=WAIT_S)
    chaos.verify(no_acknowledged_loss, no_phantom, offsets_agree, reader_order)

    first = _first_offsets(chaos.recording.rows)
    starts = {name: first[name, 0, 0] for name in readers}
    assert starts["at-beginning"] == starts["new-group-earliest"] == 0
    assert starts["at-400"] == 400
    assert starts["at-end"] >= end
    assert starts["new-group-latest"] >= end


@pytest.mark.scenario("A4")
@pytest.mark.kafka_cluster("single", "three", "three-mtls")
def test_after_a_crash_a_member_resumes_exactly_at_the_offsets_in_consumer_offsets(kafka_cluster, chaos):
    """A member killed and started again reads first, in each partition, the offset that its group had committed."""
    if not isinstance(kafka_cluster, HasGroups):
        pytest.skip("nobody tells what the coordinator of a group of this cluster knows")
    topic = kafka_cluster.create_topic("resumed", partitions=3)
    group = "book-keepers"
    chaos.producer(topic, rate=2000, partition="round_robin")
    consumer = chaos.consumer(topic, group=group, config=SHORT_SESSION)
    consumer.wait_read(2000, timeout_s=WAIT_S)
    wait_until(
        lambda: len(kafka_cluster.committed(group)) == 3,
        timeout_s=WAIT_S,
        what="all partitions are committed",
    )

    with chaos.fault(KillClient(consumer.name)):
        # Once the coordinator has put the dead member out, no commit of it can be under way any more.
        wait_until(
            lambda: not kafka_cluster.members(group),
            timeout_s=WAIT_S,
            what="the dead member is out of the group",
        )
        committed = kafka_cluster.committed(group)
    consumer.wait_read(2000, after=consumer.mark(), timeout_s=WAIT_S)
    chaos.verify(no_acknowledged_loss, no_phantom, offsets_agree, reader_order)

    first = _first_offsets(chaos.recording.rows)
    assert all(offset > 0 for offset in committed.values())
    assert {(topic, partition): first[consumer.name, 1, partition] for partition in range(3)} == committed
    assert kafka_cluster.observe(["__consumer_offsets"]).partitions


@pytest.mark.scenario("A4")
@pytest.mark.kafka_cluster("single")
def test_after_an_orderly_restart_nothing_is_read_twice_and_nothing_is_skipped(kafka_cluster, chaos):
    """A member that is stopped in order commits what it processed; its next incarnation goes on from there."""
    topic = kafka_cluster.create_topic("restarted", partitions=3)
    producer = chaos.producer(topic, rate=2000, partition="round_robin")
    consumer = chaos.consumer(topic, group="book-keepers")
    consumer.wait_read(2000, timeout_s=WAIT_S)
    assert consumer.stop() == 0
    producer.wait_acknowledged(1000, after=producer.mark(), timeout_s=WAIT_S)
    consumer.start()
    consumer.wait_read(2000, after=consumer.mark(), timeout_s=WAIT_S)
    chaos.verify(no_acknowledged_loss, no_phantom, offsets_agree, reader_order)

    reads = chaos.recording.rows.filter(op="read").select("incarnation", "partition", "offset")
    assert reads.height > 4000
    assert reads.select("partition", "offset").is_duplicated().sum() == 0
    # Contiguous from 0: no transaction markers here, so that a gap would be a skipped record.
    ends = reads.group_by("partition").agg(pl.len(), last=pl.col("offset").max())
    assert ends.height == 3
    assert (ends["len"] == ends["last"] + 1).all()


def _first_offsets(rows: pl.DataFrame) -> dict[tuple[str, int, int], int]:
    """Of each client, incarnation and partition the first offset that it read."""
    found = (
        rows.filter(op="read")
        .group_by("client", "incarnation", "partition")
        .agg(pl.col("offset").sort_by("row").first())
    )
    return {
        (client, incarnation, partition): offset
        for client, incarnation, partition, offset in found.iter_rows()
    }


def _end_offset(cluster, topic: str) -> int:
    place = TopicPartition(topic, 0)
    return cluster.admin().list_offsets({place: OffsetSpec.latest()})[place].result(WAIT_S).offset
