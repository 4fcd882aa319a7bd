"""A6: what stays in the log, and what retention and compaction take out of it."""

from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import Consumer, IsolationLevel, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import OffsetSpec

from kafkaos.backends.ready import wait_until
from kafkaos.checks import no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, reader_order

WAIT_S = 120
SEGMENT_BYTES = 1024 * 1024  # Kafka's least
KEPT_SEGMENTS = 2


@pytest.mark.scenario("A6")
@pytest.mark.kafka_cluster("single", "three-mtls")
def test_records_that_were_consumed_and_committed_stay_in_the_log(kafka_cluster, chaos):
    """One group reads and commits everything; a second one then reads the same records from the beginning."""
    topic = kafka_cluster.create_topic("library-events", partitions=3)
    producer = chaos.producer(topic, count=1000, partition="round_robin")
    producer.wait_acknowledged(1000, timeout_s=WAIT_S)
    first = chaos.consumer(topic, name="first", group="first-group")
    first.wait_read(1000, timeout_s=WAIT_S)
    second = chaos.consumer(topic, name="second", group="second-group")
    second.wait_read(1000, timeout_s=WAIT_S)
    chaos.verify(no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, reader_order)


@pytest.mark.scenario("A6")
@pytest.mark.kafka_cluster(
    "clusters/tidy.toml", only="it needs a broker that looks often for what it may delete"
)
def test_retention_deletes_whole_segments_and_a_lost_position_follows_auto_offset_reset(kafka_cluster, chaos):
    """`retention.bytes`: the earliest offset moves from segment to segment, never into one.

    A consumer whose offset is gone goes on at the beginning, at the end, or ends with an error, as
    `auto.offset.reset` says.
    """
    topic = kafka_cluster.create_topic(
        "short-lived",
        config={"segment.bytes": str(SEGMENT_BYTES), "retention.bytes": str(KEPT_SEGMENTS * SEGMENT_BYTES)},
    )
    producer = chaos.producer(topic, count=5000, size_bytes=2000)
    producer.wait_acknowledged(5000, timeout_s=WAIT_S)

    folder = kafka_cluster.partition_folder(1, topic, 0)
    wait_until(
        lambda: 0 < _size_bytes(folder) < (KEPT_SEGMENTS + 1) * SEGMENT_BYTES,
        timeout_s=WAIT_S,
        what="retention has deleted the oldest segments",
    )
    earliest, end = _offsets(kafka_cluster, topic)
    assert end == 5000
    assert earliest == min(int(segment.stem) for segment in _segments(folder)) > 0
    # What was kept is more than asked for by less than one segment.
    assert _size_bytes(folder) > KEPT_SEGMENTS * SEGMENT_BYTES

    resets = ("earliest", "latest", "error")
    readers = {
        reset: chaos.consumer(
            topic, name=f"reset-{reset}", assignment=((topic, 0, 0),), auto_offset_reset=reset
        )
        for reset in resets
    }
    readers["earliest"].wait_read(end - earliest, timeout_s=WAIT_S)
    wait_until(
        lambda: (
            "_AUTO_OFFSET_RESET" in readers["error"].last_error
            or "offset" in readers["error"].last_error.lower()
        ),
        timeout_s=WAIT_S,
        what="the reader that must not be reset has its error",
    )
    later = chaos.producer(topic, name="later", rate=100)
    readers["latest"].wait_read(100, timeout_s=WAIT_S)
    later.drain(timeout_s=WAIT_S)
    chaos.verify(no_duplicates, no_phantom, offsets_agree)

    reads = chaos.recording.rows.filter(op="read")
    first = dict(reads.group_by("client").agg(pl.col("offset").min()).iter_rows())
    assert first["reset-earliest"] == earliest
    assert first["reset-latest"] >= end
    assert "reset-error" not in first


@pytest.mark.scenario("A6")
@pytest.mark.kafka_cluster(
    "clusters/tidy.toml", only="it needs a broker that looks often for what it may delete"
)
def test_compaction_keeps_the_last_value_of_each_key_and_a_tombstone_removes_the_key(kafka_cluster):
    """Of 50 values a key only the last stays, at its offset; of a key with a tombstone nothing, the tombstone too."""
    topic = kafka_cluster.create_topic(
        "names",
        config={
            "cleanup.policy": "compact",
            "min.cleanable.dirty.ratio": "0.01",
            "segment.ms": "200",
            "delete.retention.ms": "200",
        },
    )
    producer = Producer({**kafka_cluster.client_config(), "acks": "all", "linger.ms": 0})
    for number in range(50):
        for key in ("1", "2", "3"):
            producer.produce(topic, key=key, value=f"name-{number}")
    producer.produce(topic, key="2", value=None)
    assert producer.flush(WAIT_S) == 0

    def compacted() -> bool:
        # The cleaner leaves the active segment alone: another record has it rolled.
        producer.produce(topic, key="tick", value="tick")
        producer.flush(WAIT_S)
        return [key for key, _, _ in _read_all(kafka_cluster, topic) if key != "tick"] == ["1", "3"]

    wait_until(compacted, timeout_s=WAIT_S, interval_s=0.3, what="one record of key 1 and of key 3 is left")
    left = [record for record in _read_all(kafka_cluster, topic) if record[0] != "tick"]
    assert left == [("1", "name-49", 147), ("3", "name-49", 149)]


def _size_bytes(folder: Path) -> int:
    """Of all segment files; 0 while one of them is being renamed, which the deletion of a segment begins with."""
    try:
        return sum(segment.stat().st_size for segment in _segments(folder))
    except FileNotFoundError:
        return 0


def _segments(folder: Path) -> list[Path]:
    """The segment files that are not about to be deleted."""
    return sorted(folder.glob("*.log"))


def _offsets(cluster, topic: str) -> tuple[int, int]:
    """The earliest and the next offset of partition 0."""
    place = TopicPartition(topic, 0)
    found = []
    for spec in (OffsetSpec.earliest(), OffsetSpec.latest()):
        asked = cluster.admin().list_offsets({place: spec}, isolation_level=IsolationLevel.READ_UNCOMMITTED)
        found.append(asked[place].result(WAIT_S).offset)
    return found[0], found[1]


def _read_all(cluster, topic: str) -> list[tuple[str, str | None, int]]:
    """Key, value and offset of all that is in partition 0 now."""
    consumer = Consumer({**cluster.client_config(), "group.id": "all", "enable.partition.eof": True})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        found = []
        while True:
            message = consumer.poll(WAIT_S)
            assert message is not None
            if message.error() is not None:
                assert message.error().code() == KafkaError._PARTITION_EOF
                return found
            value = message.value()
            found.append(
                (message.key().decode(), None if value is None else value.decode(), message.offset())
            )
    finally:
        consumer.close()
