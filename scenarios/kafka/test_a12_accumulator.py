"""A12: synchronous and asynchronous sends, callbacks, and the record accumulator (`batch.size`, `linger.ms`)."""

from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import KafkaError, Producer

from kafkaos.backends.ready import wait_until
from kafkaos.checks import no_acknowledged_loss, no_duplicates, no_phantom, producer_order
from kafkaos.faults import KillClient, Pause
from kafkaos.faults.roles import broker

WAIT_S = 120
RECORDS = 400
RATE = 400
SMALL_BATCH_BYTES = 1000


@pytest.mark.scenario("A12")
@pytest.mark.kafka_cluster("single", "single-mtls")
def test_linger_and_batch_size_decide_how_many_records_share_a_batch(kafka_cluster, chaos):
    """The batches in the broker's log: small at linger.ms=0, large with linger, none past batch.size."""
    settings = {
        "no-linger": {"linger_ms": 0, "in_flight": 1000, "idempotence": False},
        "linger": {"linger_ms": 200},
        "linger-small-batch": {"linger_ms": 200, "batch_size_bytes": SMALL_BATCH_BYTES},
    }
    for name, chosen in settings.items():
        kafka_cluster.create_topic(name)
        producer = chaos.producer(name, count=RECORDS, rate=RATE, size_bytes=128, **chosen)
        producer.wait_acknowledged(RECORDS, timeout_s=WAIT_S)
        producer.wait_ended(timeout_s=WAIT_S)
    chaos.verify(no_acknowledged_loss, no_duplicates, no_phantom, producer_order)

    batches = {name: _batches(kafka_cluster.partition_folder(1, name, 0)) for name in settings}
    for found in batches.values():
        assert sum(records for records, _ in found) == RECORDS
    assert len(batches["no-linger"]) > 2 * len(batches["linger"])
    assert max(records for records, _ in batches["linger"]) >= 20
    assert 1 < max(records for records, _ in batches["linger-small-batch"]) <= SMALL_BATCH_BYTES // 128
    assert max(size for _, size in batches["linger-small-batch"]) <= SMALL_BATCH_BYTES

    sends = chaos.recording.rows.filter(op="send").with_columns(
        waited_ns=pl.col("completed_ns") - pl.col("invoked_ns")
    )
    waited_ns = dict(
        sends.group_by(pl.col("topic").cast(pl.String)).agg(pl.col("waited_ns").max()).iter_rows()
    )
    assert waited_ns["linger"] >= 200_000_000


@pytest.mark.scenario("A12")
@pytest.mark.kafka_cluster("single")
def test_callbacks_tell_success_with_the_offset_and_failure_with_the_broker_s_error(kafka_cluster, chaos):
    """A record that the broker takes is reported with its offset, one that is too large with MSG_SIZE_TOO_LARGE."""
    topic = kafka_cluster.create_topic("narrow", config={"max.message.bytes": "2000"})
    # The limit holds for a batch: of small records as well it must not get too many.
    small = chaos.producer(topic, name="small", count=50, size_bytes=200, batch_size_bytes=1000)
    large = chaos.producer(topic, name="large", count=50, size_bytes=3000, linger_ms=0)
    small.wait_acknowledged(50, timeout_s=WAIT_S)
    large.wait_until(lambda: large.failed + large.unknown == 50, "told that all 50 failed", timeout_s=WAIT_S)
    assert large.acknowledged == 0
    chaos.verify(no_acknowledged_loss, no_duplicates, no_phantom, producer_order)

    sends = chaos.recording.rows.filter(op="send")
    taken = sends.filter(pl.col("client") == "small")
    assert sorted(taken["offset"]) == list(range(50))
    refused = sends.filter(pl.col("client") == "large")
    assert refused["error"].unique().to_list() == [KafkaError.MSG_SIZE_TOO_LARGE]
    assert refused["offset"].null_count() == 50


@pytest.mark.scenario("A12")
@pytest.mark.kafka_cluster("single")
def test_a_synchronous_send_waits_for_its_answer_and_an_asynchronous_one_gets_it_later(kafka_cluster):
    """`produce` returns before anything was sent; `flush` after it makes it synchronous; `poll` serves callbacks."""
    topic = kafka_cluster.create_topic("letters")
    producer = Producer({**kafka_cluster.client_config(), "linger.ms": 100, "acks": "all"})
    offsets: list[int] = []

    def delivered(error, message):
        assert error is None
        offsets.append(message.offset())

    producer.produce(topic, b"synchronous", on_delivery=delivered)
    assert offsets == []
    assert producer.flush(WAIT_S) == 0
    assert offsets == [0]

    for number in range(100):
        producer.produce(topic, b"asynchronous %d" % number, on_delivery=delivered)
    assert offsets == [0]
    assert len(producer) == 100
    wait_until(
        lambda: bool(producer.poll(0.05)) and len(offsets) == 101, timeout_s=WAIT_S, what="100 callbacks came"
    )
    assert offsets == list(range(101))


@pytest.mark.scenario("A12")
@pytest.mark.kafka_cluster("single", "three")
def test_a_producer_killed_with_a_full_buffer_loses_only_what_was_never_acknowledged(
    kafka_cluster, chaos, record_property
):
    """kill -9 with thousands of records in the accumulator: those are gone, every acknowledged one is in the log."""
    topic = kafka_cluster.create_topic("orders", replicas=[1])
    producer = chaos.producer(topic, rate=5000, window_records=20_000)
    producer.wait_acknowledged(5000, timeout_s=WAIT_S)
    with chaos.fault(Pause(broker(1), expect_fenced=False)):
        producer.wait_until(
            lambda: producer.sent - producer.acknowledged >= 10_000,
            "full of 10,000 unanswered sends",
            timeout_s=WAIT_S,
        )
        with chaos.fault(KillClient(producer.name, restart=False)):
            pass
    chaos.verify(no_acknowledged_loss, no_duplicates, no_phantom, producer_order)

    rows = chaos.recording.rows
    log = rows.filter(op="final", isolation="uncommitted").select("value")
    gone = rows.filter(op="send").join(log, on="value", how="anti")
    record_property("lost_with_the_buffer", gone.height)
    assert gone.height > 1000
    assert gone["outcome"].unique().to_list() == ["info"]


def _batches(folder: Path) -> list[tuple[int, int]]:
    """Of each record batch in a partition's segments: how many records, how many bytes.

    The layout is Kafka's message format 2: base offset (8 bytes), length of the rest (4), …, last offset delta
    (4 bytes at 23).
    """
    found = []
    for segment in sorted(folder.glob("*.log")):
        data = segment.read_bytes()
        at = 0
        while at + 61 <= len(data) and (length := int.from_bytes(data[at + 8 : at + 12])):
            found.append((int.from_bytes(data[at + 23 : at + 27]) + 1, 12 + length))
            at += 12 + length
    return found
