"""Connections that are accepted, and then nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Injection
from kafkaos.faults.linked import LinkFault, held_back, put
from kafkaos.faults.world import World
from kafkaos.links.rules import Effect


@dataclass(frozen=True)
class HalfOpen(LinkFault):
    """Accept, then silence: as of a host that hangs, or a firewall that forgot its connections."""

    name: ClassVar = "half-open"
    title: ClassVar = "connections are accepted, and no byte passes"

    def inject(self, world: World) -> Injection:
        return put(world, self.aim(world), Effect(silent=True))

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """A connection is accepted, and neither it nor any other passes a byte."""
        return held_back(world, injection, timeout_s=timeout_s, connects=True)
