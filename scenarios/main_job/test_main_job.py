"""The main job of `kafkaos run`: real traffic over mutual TLS through three faults, judged."""

import pytest

from kafkaos.checks import (
    Available,
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
    producer_order,
    reader_order,
    recovered,
)
from kafkaos.faults import Kill, KillClient, ViolateMinIsr
from kafkaos.faults.roles import leader

WAIT_S = 120
# Below min.insync.replicas nothing is acknowledged until a broker has started again: 10 to 20 s on two quiet cores.
OUTAGE_S = 60.0


@pytest.mark.scenario("A7", "A8")
@pytest.mark.kafka_cluster("three-mtls", brokers=3)
def test_nothing_acknowledged_is_lost_through_leader_kill_min_isr_violation_and_consumer_kill(
    kafka_cluster, chaos
):
    """Leader killed, min.insync.replicas violated, consumer killed: no acknowledged record is lost or doubled."""
    topic = kafka_cluster.create_topic("orders", partitions=3, config={"min.insync.replicas": "2"})
    producer = chaos.producer(topic, rate=2000, keys=100)
    consumer = chaos.consumer(topic, group="billing")
    producer.wait_acknowledged(2000, timeout_s=WAIT_S)
    consumer.wait_read(1000, timeout_s=WAIT_S)

    with chaos.fault(Kill(leader(topic, partition=0))):
        producer.wait_acknowledged(2000, after=producer.mark(), timeout_s=WAIT_S)
    kafka_cluster.wait_healthy(timeout_s=WAIT_S)

    with chaos.fault(ViolateMinIsr(topic, partition=0)):
        pass
    kafka_cluster.wait_healthy(timeout_s=WAIT_S)
    producer.wait_acknowledged(2000, after=producer.mark(), timeout_s=WAIT_S)

    with chaos.fault(KillClient(consumer.name)):
        producer.wait_acknowledged(1000, after=producer.mark(), timeout_s=WAIT_S)
    consumer.wait_read(1000, after=consumer.mark(), timeout_s=WAIT_S)

    chaos.verify(
        no_acknowledged_loss,
        no_duplicates,
        no_phantom,
        offsets_agree,
        producer_order,
        reader_order,
        Available(within_s=OUTAGE_S),
        recovered(within=OUTAGE_S),
    )
