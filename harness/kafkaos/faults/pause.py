"""A node frozen by SIGSTOP."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from kafkaos.cluster import Cluster, HasProcesses, Killable, Pausable
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.node import aim_at_node, is_frozen, node_id_of, noticed_too
from kafkaos.faults.roles import NodeTarget
from kafkaos.faults.undo import RESUME_NODE, undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World


@dataclass(frozen=True)
class Pause(Fault):
    """SIGSTOP of a node, as a long garbage collection or a stalled host.

    A pause that is meant to be shorter than the broker's session sets `expect_fenced=False`: then the frozen
    process alone is the proof.
    """

    name: ClassVar = "pause"
    family: ClassVar = "process"
    title: ClassVar = "pause (SIGSTOP) of a node"
    target: NodeTarget
    expect_fenced: bool = True

    def __str__(self) -> str:
        return f"pause of {self.target}"

    def available(self, cluster: Cluster) -> str | None:
        return lacking(cluster, [Killable, Pausable, HasProcesses], what="pause a node")

    def inject(self, world: World) -> Injection:
        injection = aim_at_node(self.name, self.target, world, RESUME_NODE)
        assert isinstance(world.cluster, Pausable)
        with undone_on_error(world, injection.undo):
            world.cluster.pause(node_id_of(injection))
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The kernel says that it is stopped and, where expected, the others moved its role elsewhere."""
        deadline_s = time.monotonic() + timeout_s
        if not until(lambda: is_frozen(injection.facts["pid"]) or None, timeout_s=timeout_s):
            return None
        told = f"{injection.told} is stopped (process state T)"
        if not self.expect_fenced:
            return Evidence(told=told, facts=dict(injection.facts))
        return noticed_too(world, self.target, injection, deadline_s, told)
