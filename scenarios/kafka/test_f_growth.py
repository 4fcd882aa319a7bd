"""Partitions added to a topic whose records have keys."""

import pytest
from confluent_kafka.admin import NewPartitions

from kafkaos.backends.ready import wait_until
from kafkaos.checks import (
    key_order,
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
    reader_order,
)

WAIT_S = 120
# A member learns of new partitions when it asks for metadata anew, every five minutes by default.
CURIOUS = {"topic.metadata.refresh.interval.ms": 500}


@pytest.mark.scenario("faults-growth", "A3")
@pytest.mark.kafka_cluster("single")
def test_keys_keep_their_order_over_added_partitions_when_readers_catch_up_first(kafka_cluster, chaos):
    """Partitions are added while nobody sends and all is read: keys move to others, and are still read in order."""
    topic = kafka_cluster.create_topic("orders")
    producer = chaos.producer(topic, rate=500, keys=20)
    consumer = chaos.consumer(topic, group="billing", config=CURIOUS)
    producer.wait_acknowledged(300, timeout_s=WAIT_S)
    assert producer.stop() == 0
    consumer.wait_read(producer.acknowledged, timeout_s=WAIT_S)

    kafka_cluster.admin().create_partitions([NewPartitions(topic, 3)])[topic].result(WAIT_S)
    wait_until(
        lambda: len([p for p in kafka_cluster.observe([topic]).partitions if p.leader is not None]) == 3,
        timeout_s=WAIT_S,
        what="every new partition has a leader",
    )
    consumer.wait_assigned(3, timeout_s=WAIT_S)
    producer.start()
    producer.wait_acknowledged(300, after=producer.mark(), timeout_s=WAIT_S)
    chaos.verify(*(no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, reader_order, key_order))
    sends = chaos.recording.rows.filter(op="send", outcome="ok")
    assert sends.group_by("key").n_unique()["partition"].max() == 2
