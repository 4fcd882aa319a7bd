"""A node down and up again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kafkaos.cluster import Cluster, HasProcesses, Killable, Stoppable
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.node import aim_at_node, node_id_of
from kafkaos.faults.proofs import consequence
from kafkaos.faults.roles import NodeTarget
from kafkaos.faults.undo import START_NODE
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World


@dataclass(frozen=True)
class Restart(Fault):
    """A node goes down and comes up again, once; it stays down until the others have noticed.

    In order by default, `hard=True` by kill -9. Injecting lasts until the others notice, at most `notice_s`
    seconds.
    """

    name: ClassVar = "restart"
    family: ClassVar = "process"
    title: ClassVar = "restart of a node"
    target: NodeTarget
    hard: bool = False
    grace_s: float = 30.0
    notice_s: float = EVIDENCE_DEADLINE_S

    def __str__(self) -> str:
        return f"{'hard ' if self.hard else ''}restart of {self.target}"

    def available(self, cluster: Cluster) -> str | None:
        needed = [Killable, HasProcesses, *([] if self.hard else [Stoppable])]
        return lacking(cluster, needed, what="restart a node")

    def inject(self, world: World) -> Injection:
        injection = aim_at_node(self.name, self.target, world, START_NODE)
        cluster, node_id = world.cluster, node_id_of(injection)
        assert isinstance(cluster, Killable)
        try:
            if self.hard:
                cluster.kill(node_id)
            else:
                assert isinstance(cluster, Stoppable)
                cluster.stop(node_id, grace_s=self.grace_s)
            if not cluster.is_running(node_id):
                injection.facts["noticed"] = consequence(
                    cluster, self.target, node_id, injection.before, timeout_s=self.notice_s
                )
        finally:
            self.heal(world, injection)
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The others noticed that it was gone, and another process runs in its place."""
        cluster, node_id, noticed = world.cluster, node_id_of(injection), injection.facts.get("noticed")
        assert isinstance(cluster, Killable)
        assert isinstance(cluster, HasProcesses)
        if not noticed:
            return None

        def again() -> int | None:
            new = cluster.pid(node_id)
            return new if cluster.is_running(node_id) and new != injection.facts["pid"] else None

        pid = until(again, timeout_s=timeout_s)
        if pid is None:
            return None
        told = f"{injection.told} was down ({noticed}) and runs again as pid {pid}"
        return Evidence(told=told, facts={**injection.facts, "new_pid": pid})
