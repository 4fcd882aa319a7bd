"""A8: min.insync.replicas=2 with two of three brokers down."""

import polars as pl
import pytest
from confluent_kafka import OFFSET_BEGINNING, IsolationLevel, KafkaError, TopicPartition
from confluent_kafka.admin import OffsetSpec

from kafkaos.checks import (
    NoDuplicates,
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
    producer_order,
    reader_order,
    recovered,
)
from kafkaos.faults import ViolateMinIsr

WAIT_S = 120
MIN_ISR_2 = {"min.insync.replicas": "2"}
# What the leader took before the ISR shrank waits for so long, and holds up its connection (30 s by default).
SHORT_REQUESTS = {"request.timeout.ms": 2000}
REFUSED = {KafkaError.NOT_ENOUGH_REPLICAS, KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND}


@pytest.mark.scenario("A8")
@pytest.mark.kafka_cluster("three", "three-mtls", brokers=3)
def test_below_min_insync_replicas_sends_are_refused_and_the_same_producer_goes_on_after(
    kafka_cluster, chaos
):
    """Two of three brokers down: `acks=all` gets NOT_ENOUGH_REPLICAS until one is back, and nothing is lost.

    Course notes say that reading stops too. Measured on Kafka 4.3: it does not; all that was acknowledged
    before is read, by a new consumer as well. The refusal itself comes late: a request that the leader took just
    before the ISR shrank is answered after `request.timeout.ms`, and those behind it on its connection wait too.
    """
    topic = kafka_cluster.create_topic("orders", config=MIN_ISR_2)
    producer = chaos.producer(topic, rate=500, config=SHORT_REQUESTS)
    # Without retries each refusal comes back to the application, with the broker's own error.
    blunt = chaos.producer(
        topic, name="without-retries", rate=100, idempotence=False, retries=0, config=SHORT_REQUESTS
    )
    producer.wait_acknowledged(500, timeout_s=WAIT_S)
    blunt.wait_acknowledged(50, timeout_s=WAIT_S)

    with chaos.fault(ViolateMinIsr(topic)) as hit:
        assert len(hit.facts["killed"]) == 2
        refused = blunt.failed
        blunt.wait_until(lambda: blunt.failed >= refused + 50, "refused 50 times", timeout_s=WAIT_S)
        reader = chaos.consumer(topic, name="new-reader", assignment=((topic, 0, OFFSET_BEGINNING),))
        reader.wait_read(550, timeout_s=WAIT_S)
    for client in (producer, blunt):
        client.wait_acknowledged(200, after=client.mark(), timeout_s=WAIT_S)
        assert client.incarnation == 0
    # Since the heal, which begins with the start of two brokers.
    again = recovered(within="60s", since="heal")
    unrepeated = NoDuplicates(may_repeat=(blunt.name,))
    chaos.verify(no_acknowledged_loss, unrepeated, no_phantom, offsets_agree, reader_order, again)

    bitten_ns = next(event.monotonic_ns for event in chaos.recording.events if event.kind == "evidence")
    rows = chaos.recording.rows
    healed_ns = rows.filter(op="heal")["invoked_ns"].item()
    during = rows.filter(op="send").filter(pl.col("invoked_ns").is_between(bitten_ns, healed_ns))
    told = during.filter(pl.col("completed_ns") < healed_ns)
    assert told.filter(outcome="ok").height == 0
    errors = set(told.filter(pl.col("client") == blunt.name, pl.col("outcome") == "fail")["error"])
    assert errors
    assert errors <= REFUSED
    # What the patient producer sent meanwhile was kept and is acknowledged now.
    assert during.filter(pl.col("client") == producer.name, pl.col("outcome") == "ok").height > 0


@pytest.mark.scenario("A8")
@pytest.mark.kafka_cluster("three", brokers=3)
def test_what_acks_1_writes_below_min_insync_replicas_is_not_readable_until_a_replica_is_back(
    kafka_cluster, chaos
):
    """`acks=1` goes on below min.insync.replicas, but nobody can read it: the high watermark stands still.

    This is where reading does stop, as measured on Kafka 4.3: eligible leader replicas (KIP-966) hold the high
    watermark while the ISR is too small.
    """
    topic = kafka_cluster.create_topic("orders", config=MIN_ISR_2)
    first = chaos.producer(topic, count=200)
    first.wait_acknowledged(200, timeout_s=WAIT_S)
    with chaos.fault(ViolateMinIsr(topic)):
        weak = chaos.producer(topic, name="acks-1", count=100, acks="1", idempotence=False)
        weak.wait_acknowledged(100, timeout_s=WAIT_S)
        assert _high_watermark(kafka_cluster, topic) == 200
    reader = chaos.consumer(topic, name="reader", assignment=((topic, 0, OFFSET_BEGINNING),))
    reader.wait_read(300, timeout_s=WAIT_S)
    chaos.verify(no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, producer_order, reader_order)


def _high_watermark(cluster, topic: str) -> int:
    place = TopicPartition(topic, 0)
    asked = cluster.admin().list_offsets(
        {place: OffsetSpec.latest()}, isolation_level=IsolationLevel.READ_UNCOMMITTED
    )
    return asked[place].result(WAIT_S).offset
