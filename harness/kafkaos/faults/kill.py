"""Kill -9 of a node."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import ClassVar

from kafkaos.cluster import Cluster, HasProcesses, Killable
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.node import aim_at_node, ended_with, node_id_of, noticed_too
from kafkaos.faults.roles import NodeTarget
from kafkaos.faults.undo import START_NODE, undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World


@dataclass(frozen=True)
class Kill(Fault):
    """kill -9 of a node. The page cache stays with the machine: what the broker had written is not lost."""

    name: ClassVar = "kill"
    family: ClassVar = "process"
    title: ClassVar = "kill -9 of a node"
    target: NodeTarget

    def __str__(self) -> str:
        return f"kill -9 of {self.target}"

    def available(self, cluster: Cluster) -> str | None:
        return lacking(cluster, [Killable, HasProcesses], what="kill a node")

    def inject(self, world: World) -> Injection:
        injection = aim_at_node(self.name, self.target, world, START_NODE)
        assert isinstance(world.cluster, Killable)
        with undone_on_error(world, injection.undo):
            world.cluster.kill(node_id_of(injection))
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The process ended by SIGKILL, and the other brokers moved its role elsewhere."""
        deadline_s = time.monotonic() + timeout_s
        ended = until(lambda: ended_with(world, injection), timeout_s=timeout_s)
        if ended != -signal.SIGKILL:
            return None
        return noticed_too(world, self.target, injection, deadline_s, f"{injection.told} ended by SIGKILL")
