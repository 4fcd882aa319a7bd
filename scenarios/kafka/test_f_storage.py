"""Disks that are full, fail or lie: the broker notices, the others go on, and no acknowledged record is lost."""

import pytest

from kafkaos.backends.mounts import unable_to_mount
from kafkaos.checks import (
    Status,
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
    reader_order,
    recovered,
    replicas_agree,
)
from kafkaos.faults import DiskFull, FailLogDir, FlipBit, TruncateTail
from kafkaos.faults.roles import follower, leader

WAIT_S = 120
SAFE = (no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, reader_order)
MIN_ISR_2 = {"min.insync.replicas": "2"}
needs_small_disks = pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount()))


@needs_small_disks
@pytest.mark.scenario("faults-storage")
@pytest.mark.kafka_cluster("clusters/small-disks.toml", only="it needs small disks")
def test_a_leader_without_space_gives_up_and_comes_back_when_there_is_some(kafka_cluster, chaos):
    """A real ENOSPC on the leader's disk: it ends, another leads, and with space again it catches up."""
    topic = kafka_cluster.create_topic("orders", config=MIN_ISR_2)
    producer = chaos.producer(topic, rate=500)
    chaos.consumer(topic, group="billing")
    producer.wait_acknowledged(300, timeout_s=WAIT_S)
    with chaos.fault(DiskFull(leader(topic))) as hit:
        producer.wait_acknowledged(300, after=producer.mark(), timeout_s=WAIT_S)
        assert kafka_cluster.observe([topic]).partition(topic, 0).leader != hit.target
    chaos.verify(*SAFE, replicas_agree, recovered(within="40s"))


@needs_small_disks
@pytest.mark.scenario("faults-storage")
@pytest.mark.kafka_cluster("clusters/small-disks.toml", only="it needs small disks")
def test_a_broker_outlives_one_of_its_two_log_directories(kafka_cluster, chaos):
    """One of two log directories fails: the broker goes on with the other one, and its partitions are led elsewhere."""
    topic = kafka_cluster.create_topic("orders", partitions=4, config=MIN_ISR_2)
    producer = chaos.producer(topic, rate=500, partition="round_robin")
    chaos.consumer(topic, group="billing")
    producer.wait_acknowledged(300, timeout_s=WAIT_S)
    with chaos.fault(FailLogDir(leader(topic))) as hit:
        producer.wait_acknowledged(300, after=producer.mark(), timeout_s=WAIT_S)
        assert kafka_cluster.is_running(hit.target)
        kept = [p for p in kafka_cluster.observe([topic]).partitions if hit.target in p.isr]
        assert 0 < len(kept) < 4
    chaos.verify(*SAFE, recovered(within="40s"))


@pytest.mark.scenario("faults-storage")
@pytest.mark.kafka_cluster("three", brokers=3)
@pytest.mark.parametrize("damage", [TruncateTail, FlipBit])
def test_a_damaged_tail_is_cut_off_and_copied_anew(kafka_cluster, chaos, damage):
    """A replica's last batch is torn, or has a flipped bit: recovery cuts it off, and replication brings it back."""
    topic = kafka_cluster.create_topic("orders", config=MIN_ISR_2)
    producer = chaos.producer(topic, rate=500)
    chaos.consumer(topic, group="billing")
    producer.wait_acknowledged(300, timeout_s=WAIT_S)
    role = leader(topic) if damage is TruncateTail else follower(topic)
    with chaos.fault(damage(role, topic)):
        producer.wait_acknowledged(300, after=producer.mark(), timeout_s=WAIT_S)
    chaos.verify(*SAFE)


@pytest.mark.scenario("faults-storage")
@pytest.mark.kafka_cluster("single")
def test_a_torn_tail_of_the_only_replica_is_a_loss_that_is_told(kafka_cluster, chaos):
    """With one replica the torn batch was acknowledged and is gone: the run says so, with the records."""
    topic = kafka_cluster.create_topic("orders", replicas=[1])
    producer = chaos.producer(topic, count=300, rate=500)
    producer.wait_acknowledged(300, timeout_s=WAIT_S)
    with chaos.fault(TruncateTail(leader(topic), topic)):
        pass
    verdict = chaos.judge(no_acknowledged_loss)[0]
    assert verdict.status is Status.FAIL
    assert verdict.witnesses
