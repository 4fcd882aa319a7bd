"""A ring: each node hears its neighbours only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kafkaos.cluster import Cluster
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection
from kafkaos.faults.linked import available, held_back, links_of, node_ids, noted, put
from kafkaos.faults.world import World
from kafkaos.links.rules import Effect, LinkId


@dataclass(frozen=True)
class Ring(Fault):
    """Every node is left with its two neighbours in an order drawn by the seed; `one_way`: it hears but one of them.

    No two nodes see the same majority. Clients reach all.
    """

    name: ClassVar = "ring"
    family: ClassVar = "network"
    title: ClassVar = "each node hears its neighbours in a ring only"
    one_way: bool = False

    def __str__(self) -> str:
        return "one-way ring of all nodes" if self.one_way else "ring of all nodes"

    def available(self, cluster: Cluster) -> str | None:
        reason = available(cluster)
        if reason is not None:
            return reason
        least = 3 if self.one_way else 4
        few = len(cluster.nodes) < least
        return f"a ring in which somebody is no neighbour needs {least} nodes" if few else None

    def inject(self, world: World) -> Injection:
        order = node_ids(world)
        world.rng.shuffle(order)
        hears: dict[int, set[int]] = {}
        for place, node in enumerate(order):
            hears[node] = {order[place - 1]} | (set() if self.one_way else {order[(place + 1) % len(order)]})
        links: list[LinkId] = []
        for node in order:
            strangers = [other for other in order if other != node and other not in hears[node]]
            links += links_of(world, node, strangers, "to")
        told = f"the ring {' - '.join(map(str, order))}"
        return put(world, noted(world, self.name, order[0], told, links), Effect(cut=True))

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """No byte passes between nodes that are no neighbours."""
        return held_back(world, injection, timeout_s=timeout_s, connects=False)
