"""Transactional producers that hang, die or come back from the dead."""

import pytest

from kafkaos.checks import (
    atomic_transactions,
    fencing,
    no_aborted_read,
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
)
from kafkaos.faults import KillClient, ZombieProducer

WAIT_S = 120
SAFE = (no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, no_aborted_read, atomic_transactions)


@pytest.mark.scenario("faults-transactions")
@pytest.mark.kafka_cluster("single")
def test_a_zombie_is_fenced_when_it_comes_back(kafka_cluster, chaos):
    """A producer frozen in a transaction wakes up after its successor committed: it ends, and nothing of it is seen."""
    topic = kafka_cluster.create_topic("payments")
    zombie, successor = (
        chaos.transactional_producer(
            topic, transactional_id="payer", name=name, rate=200, start=name == "zombie"
        )
        for name in ("zombie", "successor")
    )
    chaos.consumer(topic, name="reader", assignment=((topic, 0, -2),), isolation="committed")
    zombie.wait_committed(3, timeout_s=WAIT_S)
    with chaos.fault(ZombieProducer("zombie", "successor")):
        assert successor.transactions_committed > 0
    assert zombie.wait_ended(timeout_s=WAIT_S) == 3
    assert "fenced" in zombie.last_error.lower()
    successor.wait_committed(successor.transactions_committed + 3, timeout_s=WAIT_S)
    chaos.verify(*SAFE, fencing)


@pytest.mark.scenario("faults-transactions")
@pytest.mark.kafka_cluster("single")
def test_a_hanging_transaction_holds_up_readers_until_its_time_is_over(kafka_cluster, chaos):
    """Killed with an open transaction: `read_committed` readers stop before it, and go on when it timed out."""
    topic = kafka_cluster.create_topic("payments")
    # All others are there first: the transaction's time runs from its first record.
    plain = chaos.producer(topic, rate=200, start=False)
    plain.start(paused=True)
    careful = chaos.consumer(topic, name="careful", assignment=((topic, 0, -2),), isolation="committed")
    careless = chaos.consumer(topic, name="careless", assignment=((topic, 0, -2),))
    hanging = chaos.transactional_producer(
        topic, transactional_id="hanging", rate=100, records_per_transaction=100_000,
        transaction_timeout_ms=12_000, delivery_timeout_ms=5000,
    )  # fmt: skip
    hanging.wait_acknowledged(10, timeout_s=WAIT_S)
    with chaos.fault(KillClient(hanging.name, restart=False)):
        plain.go_on()
        careless.wait_read(100, after=careless.mark(), timeout_s=WAIT_S)
        assert careful.read == 0
        careful.wait_read(100, timeout_s=WAIT_S)
    plain.wait_acknowledged(100, after=plain.mark(), timeout_s=WAIT_S)
    chaos.verify(*SAFE)
