"""Controlled shutdown of a node."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import ClassVar

from kafkaos.cluster import Cluster, HasProcesses, Killable, Stoppable
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.node import aim_at_node, ended_with, node_id_of, noticed_too
from kafkaos.faults.roles import NodeTarget
from kafkaos.faults.undo import START_NODE, undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World


@dataclass(frozen=True)
class Stop(Fault):
    """Controlled shutdown by SIGTERM. One that takes longer than `grace_s` is killed: that is no proof."""

    name: ClassVar = "stop"
    family: ClassVar = "process"
    title: ClassVar = "controlled shutdown (SIGTERM) of a node"
    target: NodeTarget
    grace_s: float = 30.0

    def __str__(self) -> str:
        return f"controlled shutdown of {self.target}"

    def available(self, cluster: Cluster) -> str | None:
        return lacking(cluster, [Killable, Stoppable, HasProcesses], what="stop a node in order")

    def inject(self, world: World) -> Injection:
        injection = aim_at_node(self.name, self.target, world, START_NODE)
        assert isinstance(world.cluster, Stoppable)
        with undone_on_error(world, injection.undo):
            world.cluster.stop(node_id_of(injection), grace_s=self.grace_s)
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The process ended by itself, and the other brokers moved its role elsewhere."""
        deadline_s = time.monotonic() + timeout_s
        ended = until(lambda: ended_with(world, injection), timeout_s=timeout_s)
        if ended is None or ended == -signal.SIGKILL:
            return None
        told = f"{injection.told} shut down with status {ended}"
        return noticed_too(world, self.target, injection, deadline_s, told)
