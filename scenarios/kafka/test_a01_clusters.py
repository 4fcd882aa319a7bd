"""A1: one broker; three brokers that share the topic `library-events`; the same with a ZooKeeper."""

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import NewTopic

from kafkaos.backends.ready import wait_until
from kafkaos.checks import no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, reader_order
from kafkaos.faults import Kill
from kafkaos.faults.roles import controller

TOPIC = "library-events"
RECORDS = 300
WAIT_S = 120


@pytest.mark.scenario("A1")
@pytest.mark.kafka_cluster("single", "single-mtls", only="it is about a cluster of one broker")
def test_one_broker_leads_every_partition_and_refuses_a_second_replica(kafka_cluster, chaos):
    """One broker (node 1) is leader, only replica and controller; a replication factor of 3 is refused."""
    assert [node.id for node in kafka_cluster.nodes] == [1]
    topic = kafka_cluster.create_topic(TOPIC, partitions=3)
    state = kafka_cluster.observe([topic])
    assert state.controller == 1
    assert [(p.partition, p.leader, p.replicas, p.isr) for p in state.partitions] == [
        (number, 1, (1,), (1,)) for number in range(3)
    ]

    copies = NewTopic("too-many-copies", num_partitions=1, replication_factor=3)
    with pytest.raises(KafkaException) as refused:
        kafka_cluster.admin().create_topics([copies])[copies.topic].result(WAIT_S)
    assert refused.value.args[0].code() == KafkaError.INVALID_REPLICATION_FACTOR

    _write_and_read(chaos, topic)


@pytest.mark.scenario("A1")
@pytest.mark.kafka_cluster("three", "three-mtls", brokers=3)
def test_three_brokers_lead_one_partition_of_library_events_each_and_hold_all(kafka_cluster, chaos):
    """Brokers 1-3: of 3 partitions with replication factor 3 each leads one, and all records are on all disks."""
    assert [node.id for node in kafka_cluster.nodes if node.is_broker] == [1, 2, 3]
    topic = kafka_cluster.create_topic(TOPIC, partitions=3, replication_factor=3)

    def as_described() -> bool:
        state = kafka_cluster.observe([topic])
        described = kafka_cluster.admin().describe_topics(TopicCollection([topic]))[topic].result(WAIT_S)
        told = {p.id: (p.leader.id, tuple(r.id for r in p.replicas)) for p in described.partitions}
        return (
            (state.answered, state.fenced) == ((1, 2, 3), ())
            and [p.partition for p in state.partitions] == [0, 1, 2]
            and {p.leader for p in state.partitions} == {1, 2, 3}
            and all(set(p.replicas) == set(p.isr) == {1, 2, 3} for p in state.partitions)
            and told == {p.partition: (p.leader, p.replicas) for p in state.partitions}
        )

    # Not at once: on a busy machine a broker that has just started may miss its heartbeats and lose its leadership,
    # until the controller's next round of preferred elections.
    wait_until(as_described, timeout_s=WAIT_S, what="each of three brokers leads one partition and has all")

    _write_and_read(chaos, topic)
    for partition in range(3):
        logs = [_log_bytes(kafka_cluster, node_id, topic, partition) for node_id in (1, 2, 3)]
        assert len(logs[0]) > RECORDS // 3 * 100
        assert logs[0] == logs[1] == logs[2]


@pytest.mark.scenario("A1")
@pytest.mark.kafka_cluster("zookeeper", only="it is about a cluster with a ZooKeeper")
def test_three_brokers_with_a_zookeeper_elect_another_controller_when_theirs_is_killed(kafka_cluster, chaos):
    """Kafka 3.9 with a ZooKeeper: a broker is the controller; killed, another becomes it, and nothing is lost."""
    assert [node.role for node in kafka_cluster.nodes] == ["broker", "broker", "broker", "zookeeper"]
    topic = kafka_cluster.create_topic(TOPIC, partitions=3, config={"min.insync.replicas": "2"})
    wait_until(
        lambda: {p.leader for p in kafka_cluster.observe([topic]).partitions} == {1, 2, 3},
        timeout_s=WAIT_S,
        what="each of three brokers leads one partition",
    )
    state = kafka_cluster.observe([topic])
    assert state.controller in (1, 2, 3)

    producer = chaos.producer(topic, rate=RECORDS, partition="round_robin")
    consumer = chaos.consumer(topic, group="library-events-listener-group")
    producer.wait_acknowledged(RECORDS, timeout_s=WAIT_S)
    with chaos.fault(Kill(controller())):
        wait_until(
            lambda: kafka_cluster.observe([topic]).controller not in (None, state.controller),
            timeout_s=WAIT_S,
            what="another broker is the controller",
        )
        producer.wait_acknowledged(RECORDS, after=producer.mark(), timeout_s=WAIT_S)
    consumer.wait_read(2 * RECORDS, timeout_s=WAIT_S)
    chaos.verify(no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, reader_order)


def _write_and_read(chaos, topic: str) -> None:
    producer = chaos.producer(topic, count=RECORDS, partition="round_robin")
    consumer = chaos.consumer(topic, group="library-events-listener-group")
    producer.wait_acknowledged(RECORDS, timeout_s=WAIT_S)
    consumer.wait_read(RECORDS, timeout_s=WAIT_S)
    chaos.verify(no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, reader_order)
    assert consumer.read == RECORDS


def _log_bytes(cluster, node_id: int, topic: str, partition: int) -> bytes:
    """What a broker has of a partition in its segment files."""
    segments = sorted(cluster.partition_folder(node_id, topic, partition).glob("*.log"))
    return b"".join(segment.read_bytes() for segment in segments)
