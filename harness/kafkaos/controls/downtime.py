"""Control of availability and recovery: one replica against three, through the death of the leader."""

from __future__ import annotations

import time

from kafkaos.checks import Available, recovered
from kafkaos.controls.control import WAIT_S, Control, Topics, create_topics
from kafkaos.faults import Kill
from kafkaos.faults.roles import broker
from kafkaos.faults.waiting import until
from kafkaos.run import Chaos

RATE = 50.0
SOME = 20
LIMIT_S = 25.0
"""Well above the fail-over of three replicas: 3 s of session, then election and clients, on a busy machine."""
BEYOND_S = 1.0


def _leader_down(chaos: Chaos) -> Topics:
    topics = create_topics(chaos, replicas=(1, 2, 3), weak_replicas=(1,))
    producers = [chaos.producer(topic, name=f"to-{topic}", rate=RATE) for topic in (topics.weak, topics.twin)]
    for producer in producers:
        producer.wait_acknowledged(SOME, timeout_s=WAIT_S)
    with chaos.fault(Kill(broker(1))) as injection:
        producers[1].wait_acknowledged(SOME, after=producers[1].mark(), timeout_s=WAIT_S)
        # The outage itself is what is made here, so its length is a time and no state.
        over_s = injection.began_ns / 1e9 + LIMIT_S + BEYOND_S
        until(lambda: time.monotonic() > over_s or None, timeout_s=LIMIT_S + BEYOND_S)
    for producer in producers:
        producer.wait_acknowledged(SOME, after=producer.mark(), timeout_s=WAIT_S)
    return topics


LEADER_DOWN = Control(
    name="leader-down",
    weakness="replication factor 1",
    safety="replication factor 3",
    guarantees=(Available(within_s=LIMIT_S), recovered(within=LIMIT_S)),
    cluster="three",
    play=_leader_down,
)
