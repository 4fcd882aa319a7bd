"""Brokers whose clocks are wrong: the order of the log does not depend on the time of day."""

import pytest

from kafkaos.checks import (
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
    producer_order,
    reader_order,
)
from kafkaos.faults import ClockJump
from kafkaos.faults.clock import library
from kafkaos.faults.roles import leader

WAIT_S = 120
HOUR_S = 3600.0


@pytest.mark.skipif(library() is None, reason="libfaketime is not installed (apt-get install faketime)")
@pytest.mark.scenario("faults-time")
@pytest.mark.kafka_cluster("single")
def test_a_clock_that_jumps_an_hour_costs_no_record(kafka_cluster, chaos):
    """The leader's clock jumps an hour ahead, and a restart sets it right: nothing is lost, doubled or swapped."""
    topic = kafka_cluster.create_topic("orders")
    producer = chaos.producer(topic, rate=300)
    consumer = chaos.consumer(topic, group="billing")
    producer.wait_acknowledged(100, timeout_s=WAIT_S)
    with chaos.fault(ClockJump(leader(topic), by_s=HOUR_S)):
        producer.wait_acknowledged(100, after=producer.mark(), timeout_s=WAIT_S)
        consumer.wait_read(100, after=consumer.mark(), timeout_s=WAIT_S)
    producer.wait_acknowledged(100, after=producer.mark(), timeout_s=WAIT_S)
    chaos.verify(no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, producer_order, reader_order)
