"""Packets lost between two ends."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Injection
from kafkaos.faults.linked import LinkFault, held_back, put
from kafkaos.faults.proofs import left
from kafkaos.faults.roles import Follower, Leader
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World
from kafkaos.links.rules import Effect


@dataclass(frozen=True)
class Cut(LinkFault):
    """Packets between a node and its peers are lost, both ways or one way.

    As in a network, no new connection comes about even if only one way is cut; what was sent before arrives when the
    link is whole again. A follower that is cut off its leader must be seen leaving the ISR.
    """

    name: ClassVar = "cut"
    title: ClassVar = "packets lost between nodes, both ways or one way"

    def inject(self, world: World) -> Injection:
        return put(world, self.aim(world), Effect(cut=True))

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """No byte passes and none can connect; between a leader and its follower the ISR shrinks."""
        deadline_s = time.monotonic() + timeout_s
        seen = held_back(world, injection, timeout_s=timeout_s, connects=False)
        if seen is None or not (isinstance(self.target, Leader) and isinstance(self.peer, Follower)):
            return seen
        target, ends = self.target, {end for link in injection.facts["links"] for end in link}
        (follower,) = ends - {injection.target}

        def shrunk() -> bool | None:
            state = world.cluster.observe([target.topic]).partition(target.topic, target.partition)
            return True if state is not None and follower not in state.isr else None

        if until(shrunk, timeout_s=left(deadline_s)) is None:
            return None
        told = f"{seen.told}; node {follower} left the ISR of {target.topic}-{target.partition}"
        return Evidence(told=told, facts=seen.facts)
