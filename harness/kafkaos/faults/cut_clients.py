"""Clients cut off from a broker that is well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kafkaos.cluster import Cluster
from kafkaos.errors import WrongUse
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection
from kafkaos.faults.linked import CLIENTS, Direction, available, held_back, links_of, noted, put
from kafkaos.faults.roles import NodeTarget
from kafkaos.faults.world import World
from kafkaos.links.rules import Effect


@dataclass(frozen=True)
class CutClients(Fault):
    """Packets between a broker and all clients are lost; direction `from`: its answers only.

    The broker goes on leading: nothing but the clients' own time-outs tells of it.
    """

    name: ClassVar = "cut-clients"
    family: ClassVar = "network"
    title: ClassVar = "packets lost between clients and a broker"
    target: NodeTarget
    direction: Direction = "both"

    def __str__(self) -> str:
        way = {"both": "between the clients and", "to": "from the clients to", "from": "to the clients from"}
        return f"packets lost {way[self.direction]} {self.target}"

    def available(self, cluster: Cluster) -> str | None:
        return available(cluster)

    def inject(self, world: World) -> Injection:
        node = self.target.resolve(world)
        links = links_of(world, node, [CLIENTS], self.direction)
        if not links:
            raise WrongUse(f"no client speaks to node {node}, which is a controller only: choose a broker")
        told = f"{self.target} ({world.cluster.node(node).name})"
        return put(world, noted(world, self.name, node, told, links), Effect(cut=True))

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """No byte passes, and no client can connect."""
        return held_back(world, injection, timeout_s=timeout_s, connects=False)
