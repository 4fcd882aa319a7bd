"""A rolling upgrade to the next Kafka under load."""

import pytest

from kafkaos.checks import (
    available,
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
    producer_order,
    reader_order,
)
from kafkaos.faults import RollingUpgrade

WAIT_S = 120


@pytest.mark.scenario("faults-upgrade")
@pytest.mark.kafka_cluster("clusters/older.toml", only="it needs an older Kafka to begin with")
def test_a_rolling_upgrade_under_load_loses_nothing(kafka_cluster, chaos):
    """Controller and brokers go from Kafka 4.2 to 4.3 one by one, metadata.version last: clients go on meanwhile."""
    topic = kafka_cluster.create_topic("orders", partitions=3, config={"min.insync.replicas": "2"})
    producer = chaos.producer(topic, rate=300, partition="round_robin")
    consumer = chaos.consumer(topic, group="billing")
    producer.wait_acknowledged(200, timeout_s=WAIT_S)
    kafka_cluster.dirty = True  # nobody is to be given an upgraded cluster for an older one
    with chaos.fault(RollingUpgrade()):
        assert {kafka_cluster.version(node.id) for node in kafka_cluster.nodes} == {"4.3.1"}
        producer.wait_acknowledged(200, after=producer.mark(), timeout_s=WAIT_S)
        consumer.wait_read(200, after=consumer.mark(), timeout_s=WAIT_S)
    assert producer.incarnation == consumer.incarnation == 0
    chaos.verify(
        *(no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree),
        *(producer_order, reader_order, available),
    )
