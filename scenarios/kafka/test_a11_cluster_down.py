"""A11: the cluster is down before the first send."""

import contextlib

import polars as pl
import pytest
from confluent_kafka import KafkaError

from kafkaos.checks import NoDuplicates, no_acknowledged_loss, no_phantom, offsets_agree, producer_order
from kafkaos.faults import Kill
from kafkaos.faults.roles import broker

WAIT_S = 120
LIMIT_S = 4
LATE_S = 2.5  # librdkafka looks for expired records once a second, and the machine may be busy


@pytest.mark.scenario("A11")
@pytest.mark.kafka_cluster("single", "three-mtls")
def test_with_the_cluster_down_a_send_fails_at_its_time_limit_and_the_same_producer_delivers_later(
    kafka_cluster, chaos
):
    """No broker: sends fail at `message.timeout.ms`, neither before nor much later; once it is up they arrive.

    Those of a patient producer beside it wait, and arrive all of them, once.
    """
    topic = kafka_cluster.create_topic("orders")
    with contextlib.ExitStack() as down:
        for node in kafka_cluster.brokers:
            down.enter_context(chaos.fault(Kill(broker(node.id))))
        producer = chaos.producer(topic, rate=50, delivery_timeout_ms=LIMIT_S * 1000)
        patient = chaos.producer(topic, name="patient", rate=50)
        producer.wait_until(lambda: producer.unknown >= 50, "told that 50 sends failed", timeout_s=WAIT_S)
        assert producer.acknowledged == patient.acknowledged == patient.unknown == 0
    patient.wait_acknowledged(200, after=patient.mark(), timeout_s=WAIT_S)
    producer.wait_acknowledged(200, after=producer.mark(), timeout_s=WAIT_S)
    assert producer.incarnation == 0
    # Brokers that come back slowly hold a send until its time is over: librdkafka then takes another epoch and sends
    # what was behind it once more (seen at a load of 20: 179 of 263 records).
    unrepeated = NoDuplicates(may_repeat=(producer.name,))
    chaos.verify(no_acknowledged_loss, unrepeated, no_phantom, offsets_agree, producer_order)

    sends = chaos.recording.rows.filter(op="send", client=producer.name).sort("sequence")
    failed = sends.filter(pl.col("error") != 0)
    assert failed["sequence"][0] == 0
    assert failed["error"].unique().to_list() == [KafkaError._MSG_TIMED_OUT]
    waited_s = (failed["completed_ns"] - failed["invoked_ns"]) / 1e9
    assert waited_s.min() >= LIMIT_S
    assert waited_s[0] <= LIMIT_S + LATE_S
    assert waited_s.median() <= LIMIT_S + LATE_S
    waiting = chaos.recording.rows.filter(op="send", client=patient.name)
    assert waiting["error"].unique().to_list() == [0]
