"""Controls of acknowledged records: acks=1, unclean election, power loss."""

from __future__ import annotations

import os
from contextlib import ExitStack

from kafkaos.checks import no_acknowledged_loss, offsets_agree, real_time_order
from kafkaos.cluster import HasFiles
from kafkaos.controls.control import WAIT_S, Control, Topics, create_topics
from kafkaos.controls.failover import DieAhead
from kafkaos.errors import SetupFailed
from kafkaos.faults import Kill, Pause, Stop
from kafkaos.faults.roles import broker, leader
from kafkaos.run import Chaos

RATE = 200.0
SOME = 20
AHEAD = 100
"""Records that the leader acknowledges alone, at RATE half a second. A frozen follower still gets the answer to the
one fetch that it had under way (at most `replica.fetch.wait.max.ms`, 100 ms), so the first of them may be copied."""


def _acks_1(chaos: Chaos) -> Topics:
    topics = create_topics(chaos, replicas=(1, 2, 3), twin={"min.insync.replicas": "2"})
    careless = chaos.producer(topics.weak, name="careless", acks="1", idempotence=False, rate=RATE)
    careful = chaos.producer(topics.twin, name="careful", rate=RATE)
    for producer in (careless, careful):
        producer.wait_acknowledged(SOME, timeout_s=WAIT_S)
    with ExitStack() as frozen:
        for node_id in (2, 3):
            frozen.enter_context(chaos.fault(Pause(broker(node_id), expect_fenced=False)))
        sent = careful.sent
        careless.wait_acknowledged(AHEAD, after=careless.mark(), timeout_s=WAIT_S)
        careful.wait_until(lambda: careful.sent >= sent + AHEAD, f"sending {AHEAD} more", timeout_s=WAIT_S)
        with chaos.fault(DieAhead(leader(topics.weak))):
            for producer in (careless, careful):
                producer.wait_acknowledged(SOME, after=producer.mark(), timeout_s=WAIT_S)
    return topics


def _unclean_election(chaos: Chaos) -> Topics:
    topics = create_topics(
        chaos,
        replicas=(1, 2, 3),
        weak={"min.insync.replicas": "1", "unclean.leader.election.enable": "true"},
        twin={"min.insync.replicas": "2", "unclean.leader.election.enable": "false"},
    )
    # The careless one is not idempotent: an unclean election takes a producer's sequence numbers away as well.
    careless = chaos.producer(topics.weak, name="careless", idempotence=False, rate=RATE)
    careful = chaos.producer(topics.twin, name="careful", rate=RATE)
    # Readers without a group, so that no group's coordinator has to be there.
    reader, twin_reader = (
        chaos.consumer(topic, name=f"reader-of-{topic}", assignment=((topic, 0, -2),))
        for topic in (topics.weak, topics.twin)
    )
    for producer in (careless, careful):
        producer.wait_acknowledged(SOME, timeout_s=WAIT_S)
    twin_reader.wait_read(SOME, timeout_s=WAIT_S)
    with ExitStack() as followers:
        for node_id in (2, 3):
            followers.enter_context(chaos.fault(Stop(broker(node_id))))
        careless.wait_acknowledged(AHEAD, after=careless.mark(), timeout_s=WAIT_S)
        careless.drain(timeout_s=WAIT_S)
        reader.wait_read(careless.acknowledged, timeout_s=WAIT_S)
        with chaos.fault(Kill(broker(1))):
            followers.close()  # the stopped ones start again while the only broker with the records is dead
            careless.go_on()
            for producer in (careless, careful):
                producer.wait_acknowledged(SOME, after=producer.mark(), timeout_s=WAIT_S)
    return topics


def _power_loss(chaos: Chaos) -> Topics:
    topics = create_topics(chaos, replicas=(1,))
    producers = [chaos.producer(topic, name=f"to-{topic}", rate=RATE) for topic in (topics.weak, topics.twin)]
    for producer in producers:
        producer.wait_acknowledged(AHEAD, timeout_s=WAIT_S)
        producer.drain(timeout_s=WAIT_S)
    with chaos.fault(Kill(broker(1))):
        _lose_page_cache(chaos, topics.weak)
    chaos.cluster.wait_healthy(timeout_s=WAIT_S)
    producers[1].go_on()
    producers[1].wait_acknowledged(SOME, after=producers[1].mark(), timeout_s=WAIT_S)
    return topics


def _lose_page_cache(chaos: Chaos, topic: str) -> None:
    """Cut the later half off the log, as a power failure would whatever Kafka had not flushed to disk."""
    assert isinstance(chaos.cluster, HasFiles)
    segment = chaos.cluster.partition_folder(1, topic, 0) / f"{0:020}.log"
    size_bytes = segment.stat().st_size
    if not size_bytes:
        raise SetupFailed(f"{segment} is empty, there is nothing to lose: let the producer send first")
    os.truncate(segment, size_bytes // 2)


ACKS_1 = Control(
    name="acks-1",
    weakness="acks=1",
    safety="acks=all, min.insync.replicas=2",
    guarantees=(no_acknowledged_loss,),
    cluster="three",
    # The pause of the followers takes about a second and must not fence them; the fail-over takes the whole session.
    properties={"broker.session.timeout.ms": 8_000, "replica.lag.time.max.ms": 30_000},
    play=_acks_1,
)
UNCLEAN_ELECTION = Control(
    name="unclean-election",
    weakness="unclean.leader.election.enable=true, min.insync.replicas=1",
    safety="no unclean election, min.insync.replicas=2",
    guarantees=(no_acknowledged_loss, offsets_agree, real_time_order),
    cluster="three",
    play=_unclean_election,
)
POWER_LOSS = Control(
    name="power-loss",
    weakness="one replica, its page cache lost",
    safety="one replica, acks=all, kill -9: the page cache stays with the machine",
    guarantees=(no_acknowledged_loss,),
    cluster="single",
    play=_power_loss,
)
