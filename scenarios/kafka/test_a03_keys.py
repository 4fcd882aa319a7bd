"""A3: a key chooses the partition and keeps order; without a key records spread and order ends at the partition."""

import warnings

import polars as pl
import pytest

from kafkaos.checks import no_acknowledged_loss, no_duplicates, no_phantom, producer_order, reader_order

KEYS = 30
PARTITIONS = [0, 1, 2]
WAIT_S = 120


@pytest.mark.scenario("A3")
@pytest.mark.kafka_cluster("single", "three-mtls")
def test_records_of_one_key_are_in_one_partition_and_are_read_in_the_order_sent(kafka_cluster, chaos):
    """Each key has one partition, also after the producer's restart, and its records are read as they were sent."""
    topic = kafka_cluster.create_topic("keyed", partitions=3)
    consumer = chaos.consumer(topic, group="by-key")
    producer = chaos.producer(topic, count=3000, keys=KEYS)
    producer.wait_acknowledged(3000, timeout_s=WAIT_S)
    producer.wait_ended(timeout_s=WAIT_S)
    producer.restart()
    producer.wait_acknowledged(6000, timeout_s=WAIT_S)
    consumer.wait_read(6000, timeout_s=WAIT_S)
    chaos.verify(no_acknowledged_loss, no_duplicates, no_phantom, producer_order, reader_order)

    rows = chaos.recording.rows
    log = rows.filter(op="final", isolation="uncommitted")
    homes = log.group_by("key").agg(pl.col("partition").unique())
    assert homes.height == KEYS
    assert homes["partition"].list.len().to_list() == [1] * KEYS
    assert sorted(log["partition"].unique()) == PARTITIONS

    reads = rows.filter(op="read").sort("row")
    assert reads.height == 6000
    # A value id grows with every send, across the restart too.
    in_order = reads.group_by("key", maintain_order=True).agg((pl.col("value").diff().drop_nulls() > 0).all())
    assert in_order["value"].to_list() == [True] * KEYS


@pytest.mark.scenario("A3")
@pytest.mark.kafka_cluster("single")
def test_the_partitioner_of_the_java_client_is_murmur2_and_librdkafka_s_default_is_another(
    kafka_cluster, chaos
):
    """With `partitioner=murmur2_random` a key goes where Java's client sends it, not so with librdkafka's own.

    Two applications that share a keyed topic must agree on this, or one key has two partitions.
    """
    topic = kafka_cluster.create_topic("as-java-does", partitions=3)
    other = kafka_cluster.create_topic("as-librdkafka-does", partitions=3)
    for name, config in ((topic, {"partitioner": "murmur2_random"}), (other, {})):
        producer = chaos.producer(name, count=KEYS, keys=KEYS, config=config)
        producer.wait_acknowledged(KEYS, timeout_s=WAIT_S)
    chaos.verify(no_acknowledged_loss, no_duplicates, no_phantom)

    # Imported here: the package warns of a deprecation of Python's own while it is imported.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from kafka.partitioner.default import murmur2
    java = {key: (murmur2(b"%d" % key) & 0x7FFFFFFF) % len(PARTITIONS) for key in range(KEYS)}
    log = chaos.recording.rows.filter(op="final", isolation="uncommitted")
    homes = {
        name: dict(log.filter(pl.col("topic") == name).select("key", "partition").iter_rows())
        for name in (topic, other)
    }
    assert homes[topic] == java
    assert len(homes[other]) == KEYS
    assert homes[other] != java


@pytest.mark.scenario("A3")
@pytest.mark.kafka_cluster("single", "three")
def test_records_without_a_key_spread_and_no_order_holds_between_partitions(kafka_cluster, chaos):
    """Without a key all partitions get records; each is read in order, together they are not in the order sent."""
    topic = kafka_cluster.create_topic("unkeyed", partitions=3)
    # The partitioner stays with one partition for 10 ms at a time: sent all at once, one might get everything.
    producer = chaos.producer(topic, count=3000, rate=3000)
    producer.wait_acknowledged(3000, timeout_s=WAIT_S)
    consumer = chaos.consumer(topic, group="all-of-it")
    consumer.wait_read(3000, timeout_s=WAIT_S)
    chaos.verify(no_acknowledged_loss, no_duplicates, no_phantom, producer_order, reader_order)

    reads = chaos.recording.rows.filter(op="read").sort("row")
    assert sorted(reads["partition"].unique()) == PARTITIONS
    steps = reads.select("partition", "value").with_columns(
        within=pl.col("value").diff().over("partition"), between=pl.col("value").diff()
    )
    assert (steps["within"].drop_nulls() > 0).all()
    assert not (steps["between"].drop_nulls() > 0).all()
