"""One node on the wrong side of a partition of the network."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar, Literal

from kafkaos.cluster import Cluster
from kafkaos.errors import WrongUse
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection
from kafkaos.faults.linked import CLIENTS, Direction, available, held_back, links_of, node_ids, noted, put
from kafkaos.faults.node import node_id_of
from kafkaos.faults.proofs import consequence, left
from kafkaos.faults.roles import NodeTarget
from kafkaos.faults.world import World
from kafkaos.links.rules import Effect


@dataclass(frozen=True)
class Isolate(Fault):
    """A node is cut off: from `all` (nodes and clients), or from the `majority` of the nodes.

    Off the majority it keeps its clients and, where there are enough nodes, peers that are a minority with it.
    """

    name: ClassVar = "isolate"
    family: ClassVar = "network"
    title: ClassVar = "a node cut off from all, or from the majority"
    target: NodeTarget
    off: Literal["all", "majority"] = "majority"
    direction: Direction = "both"

    def __str__(self) -> str:
        return f"{self.target} cut off from {'all' if self.off == 'all' else 'the majority'}"

    def available(self, cluster: Cluster) -> str | None:
        reason = available(cluster)
        if reason is None and len(cluster.nodes) < 2:
            return "a single node has no other to be isolated from: cut-clients cuts its clients"
        return reason

    def inject(self, world: World) -> Injection:
        node = self.target.resolve(world)
        others = [other for other in node_ids(world) if other != node]
        if self.off == "all":
            others.append(CLIENTS)
        else:
            # Controllers decide where the majority is; a broker that is none can be with the minority.
            free = [other for other in others if not _alone_controls(world, other)]
            kept = world.rng.sample(sorted(free), min(max(len(others) // 2 - 1, 0), len(free)))
            others = [other for other in others if other not in kept]
        links = links_of(world, node, others, self.direction)
        if not links:
            raise WrongUse(f"node {node} has no links to be isolated from: choose another target")
        told = f"{self.target} ({world.cluster.node(node).name})"
        return put(world, noted(world, self.name, node, told, links), Effect(cut=True))

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """No byte passes, and the other nodes moved its role elsewhere."""
        deadline_s = time.monotonic() + timeout_s
        seen = held_back(world, injection, timeout_s=timeout_s, connects=False)
        if seen is None:
            return None
        noticed = consequence(
            world.cluster, self.target, node_id_of(injection), injection.before, timeout_s=left(deadline_s)
        )
        return None if noticed is None else Evidence(told=f"{seen.told}; {noticed}", facts=seen.facts)


def _alone_controls(world: World, node: int) -> bool:
    """Whether the cluster's only controllers are controllers and nothing else, and this is one of them."""
    return world.cluster.node(node).role == "controller"
