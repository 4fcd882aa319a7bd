"""Control of replicas: a follower whose disk changed a byte under it."""

from __future__ import annotations

from kafkaos.checks import replicas_agree
from kafkaos.cluster import HasFiles, Stoppable
from kafkaos.controls.control import WAIT_S, Control, Topics, create_topics
from kafkaos.errors import SetupFailed
from kafkaos.faults import Stop
from kafkaos.faults.roles import broker
from kafkaos.run import Chaos

SOME = 200
FOLLOWER = 3


def _rotten_disk(chaos: Chaos) -> Topics:
    """Stopped in order, a broker does not look at its logs again when it starts: a changed byte stays."""
    topics = create_topics(chaos, replicas=(1, 2, FOLLOWER))
    for topic in (topics.weak, topics.twin):
        producer = chaos.producer(topic, name=f"to-{topic}", count=SOME, rate=2000)
        producer.wait_acknowledged(SOME, timeout_s=WAIT_S)
    chaos.cluster.wait_healthy(timeout_s=WAIT_S)
    with chaos.fault(Stop(broker(FOLLOWER))):
        _change_a_byte(chaos, topics.weak)
    return topics


def _change_a_byte(chaos: Chaos, topic: str) -> None:
    assert isinstance(chaos.cluster, HasFiles)
    assert isinstance(chaos.cluster, Stoppable)
    segment = chaos.cluster.partition_folder(FOLLOWER, topic, 0) / f"{0:020}.log"
    size_bytes = segment.stat().st_size
    if not size_bytes:
        raise SetupFailed(f"{segment} is empty, there is nothing to change: let the producer send first")
    with segment.open("r+b") as log:
        # Near the end: in the last record's value, far from the batch's header.
        log.seek(size_bytes - 20)
        byte = log.read(1)[0]
        log.seek(size_bytes - 20)
        log.write(bytes([byte ^ 1]))


ROTTEN_DISK = Control(
    name="rotten-disk",
    weakness="a byte of a follower's segment changed while it was down",
    safety="its segments left alone",
    guarantees=(replicas_agree,),
    cluster="three",
    play=_rotten_disk,
)
