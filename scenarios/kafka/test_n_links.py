"""N: partitions of the network and bad links: one way, isolated, half-open, slow, cut off from the clients."""

import pytest
from impatient import IMPATIENT

from kafkaos.backends.ready import wait_until
from kafkaos.checks import (
    available,
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
    producer_order,
    reader_order,
    recovered,
)
from kafkaos.faults import Cut, CutClients, Delay, HalfOpen, Isolate, Rate, Ring
from kafkaos.faults.roles import coordinator, follower, leader

WAIT_S = 120
SAFE = (no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, producer_order, reader_order)
TWO_IN_SYNC = {"min.insync.replicas": "2"}


def traffic(chaos, topic, **settings):
    """A producer whose records were acknowledged and a group that read some."""
    producer = chaos.producer(topic, rate=500, config=IMPATIENT, **settings)
    consumer = chaos.consumer(topic, group="billing", config=IMPATIENT)
    producer.wait_acknowledged(200, timeout_s=WAIT_S)
    consumer.wait_read(200, timeout_s=WAIT_S)
    return producer, consumer


@pytest.mark.scenario("N1")
@pytest.mark.kafka_cluster("three", brokers=3)
def test_a_follower_that_hears_nothing_leaves_the_isr_and_writing_goes_on(kafka_cluster, chaos):
    """Cut one way: a follower that gets nothing from its leader leaves the ISR, acks=all goes on, and it comes back."""
    topic = kafka_cluster.create_topic("orders", config=TWO_IN_SYNC)
    producer, consumer = traffic(chaos, topic)
    with chaos.fault(Cut(leader(topic), follower(topic), direction="from")) as hit:
        ((_, deaf),) = hit.facts["links"]
        now = kafka_cluster.observe([topic]).partition(topic, 0)
        assert now.leader == hit.target
        assert set(now.isr) == {1, 2, 3} - {deaf}
        producer.wait_acknowledged(300, after=producer.mark(), timeout_s=WAIT_S)
        consumer.wait_read(300, after=consumer.mark(), timeout_s=WAIT_S)
    kafka_cluster.wait_healthy(timeout_s=WAIT_S)
    producer.wait_acknowledged(100, after=producer.mark(), timeout_s=WAIT_S)
    chaos.verify(*SAFE, available)


@pytest.mark.scenario("N2")
@pytest.mark.kafka_cluster("three-mtls", brokers=3)
def test_a_leader_on_the_wrong_side_is_replaced_and_acknowledges_nothing_that_is_lost(kafka_cluster, chaos):
    """Leader isolated from the majority: a replica beyond leads; the old one, still reached by clients, loses nothing.

    It cannot get the majority to shrink the ISR, so that it acknowledges no acks=all record alone.
    """
    topic = kafka_cluster.create_topic("orders", config=TWO_IN_SYNC)
    producer, _ = traffic(chaos, topic)
    with chaos.fault(Isolate(leader(topic))) as hit:
        before, now = hit.before.partition(topic, 0), kafka_cluster.observe([topic]).partition(topic, 0)
        assert now.leader in set(before.isr) - {hit.target}
        assert now.leader_epoch > before.leader_epoch
        # The isolated one tells clients its old metadata: who asks the others finds the new leader.
        others = [b.client_address for b in kafka_cluster.brokers if b.id != hit.target]
        beyond = chaos.producer(
            topic, name="beyond", rate=500, config={**IMPATIENT, "bootstrap.servers": ",".join(others)}
        )
        beyond.wait_acknowledged(300, timeout_s=WAIT_S)
    producer.wait_acknowledged(300, after=producer.mark(), timeout_s=WAIT_S)
    chaos.verify(*SAFE, recovered(within="60s"))


@pytest.mark.scenario("N3")
@pytest.mark.kafka_cluster("three", brokers=3)
def test_a_group_moves_away_from_a_coordinator_that_is_isolated(kafka_cluster, chaos):
    """Coordinator isolated from all: another takes the group over with its offsets; reading and committing go on."""
    group = "billing"
    lost = kafka_cluster.coordinator(group)
    topic = kafka_cluster.create_topic("orders", replicas=[n for n in (1, 2, 3) if n != lost])
    producer, consumer = traffic(chaos, topic)
    consumer.wait_until(lambda: consumer.committed > 0, "told that a commit is done", timeout_s=WAIT_S)
    with chaos.fault(Isolate(coordinator(group=group), off="all")) as hit:
        assert hit.target == lost
        wait_until(
            lambda: kafka_cluster.coordinator(group) != lost,
            timeout_s=WAIT_S,
            what="those beyond the cut agree on another coordinator",
        )
        committed = consumer.committed
        consumer.wait_until(
            lambda: consumer.committed >= committed + 10, "told that 10 more are done", timeout_s=WAIT_S
        )
        consumer.wait_read(300, after=consumer.mark(), timeout_s=WAIT_S)
    producer.wait_acknowledged(100, after=producer.mark(), timeout_s=WAIT_S)
    chaos.verify(*SAFE, recovered(within="60s"))


@pytest.mark.scenario("N4")
@pytest.mark.kafka_cluster("three", brokers=3)
def test_what_a_silent_broker_never_answered_is_unknown_and_not_lost_or_doubled(kafka_cluster, chaos):
    """Half-open: the leader's clients connect and hear nothing, sends time out as unknown, none is lost or doubled.

    The same producer goes on afterwards.
    """
    topic = kafka_cluster.create_topic("orders", config=TWO_IN_SYNC)
    producer, _ = traffic(chaos, topic, delivery_timeout_ms=5000)
    with chaos.fault(HalfOpen(leader(topic), peers="clients")):
        producer.wait_until(lambda: producer.unknown > 0, "told of a time-out", timeout_s=WAIT_S)
        # The broker is well and leads on: nobody but its clients knows.
        assert kafka_cluster.observe([topic]).fenced == ()
    producer.wait_acknowledged(200, after=producer.mark(), timeout_s=WAIT_S)
    chaos.verify(*SAFE)


@pytest.mark.scenario("N5")
@pytest.mark.kafka_cluster("three", brokers=3)
def test_slow_and_narrow_links_break_nothing(kafka_cluster, chaos):
    """100 ms of delay with jitter on all of the leader's links and 4 Mbit/s to its clients: all guarantees hold."""
    topic = kafka_cluster.create_topic("orders", config=TWO_IN_SYNC)
    producer, consumer = traffic(chaos, topic, size_bytes=1000)
    with chaos.fault(Delay(leader(topic), delay_ms=100, jitter_ms=50)):
        producer.wait_acknowledged(300, after=producer.mark(), timeout_s=WAIT_S)
        with chaos.fault(Rate(leader(topic), peers="clients", rate_kbit=4000)):
            consumer.wait_read(300, after=consumer.mark(), timeout_s=WAIT_S)
    chaos.verify(*SAFE, available)


@pytest.mark.scenario("N6")
@pytest.mark.kafka_cluster("three", brokers=3)
@pytest.mark.parametrize("direction", ["from", "both"])
def test_clients_that_are_cut_off_lose_and_double_nothing(kafka_cluster, chaos, direction):
    """Clients cut off from the leader, its answers alone or both ways: what is sent again after it is there once."""
    topic = kafka_cluster.create_topic("orders", config=TWO_IN_SYNC)
    producer, consumer = traffic(chaos, topic)
    with chaos.fault(CutClients(leader(topic), direction=direction)) as hit:
        acknowledged = producer.acknowledged
        producer.wait_until(lambda: producer.sent > acknowledged + 200, "sent more", timeout_s=WAIT_S)
        assert kafka_cluster.observe([topic]).partition(topic, 0).leader == hit.target
    producer.wait_acknowledged(200, after=producer.mark(), timeout_s=WAIT_S)
    consumer.wait_read(200, after=consumer.mark(), timeout_s=WAIT_S)
    chaos.verify(*SAFE, available)


@pytest.mark.scenario("N7")
@pytest.mark.kafka_cluster("three-combined", only="it needs more than one controller")
def test_a_one_way_ring_of_controllers_and_brokers_loses_nothing(kafka_cluster, chaos):
    """Every node hears one other only, so that no two see the same majority: acknowledged is what survives it."""
    topic = kafka_cluster.create_topic("orders", partitions=3, config=TWO_IN_SYNC)
    producer, _ = traffic(chaos, topic, partition="round_robin")
    with chaos.fault(Ring(one_way=True)):
        sent = producer.sent
        producer.wait_until(lambda: producer.sent > sent + 200, "sent more", timeout_s=WAIT_S)
    kafka_cluster.wait_healthy(timeout_s=WAIT_S)
    producer.wait_acknowledged(200, after=producer.mark(), timeout_s=WAIT_S)
    chaos.verify(*SAFE)
