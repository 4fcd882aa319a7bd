"""Every broker restarted, one after the other, as in a planned change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kafkaos.cluster import Cluster, HasProcesses, Killable, Stoppable
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.proofs import consequence
from kafkaos.faults.roles import broker
from kafkaos.faults.undo import START_NODE, note_node, undone_on_error
from kafkaos.faults.world import World

IN_SYNC_DEADLINE_S = 60.0


@dataclass(frozen=True)
class RollingRestart(Fault):
    """Each broker in turn is stopped in order (`hard`: killed), missed by the others, started, and waited for.

    Injecting lasts until the last one is in sync again. A broker that the others do not miss within `notice_s`
    seconds ends the round: then there is no evidence.
    """

    name: ClassVar = "rolling-restart"
    family: ClassVar = "process"
    title: ClassVar = "restart of every broker, one after the other"
    hard: bool = False
    grace_s: float = 30.0
    notice_s: float = EVIDENCE_DEADLINE_S

    def __str__(self) -> str:
        return f"{'hard ' if self.hard else ''}rolling restart"

    def available(self, cluster: Cluster) -> str | None:
        if sum(node.is_broker for node in cluster.nodes) < 2:
            return "with one broker nobody is left that could notice: use restart"
        needed = [Killable, HasProcesses, *([] if self.hard else [Stoppable])]
        return lacking(cluster, needed, what="restart a node")

    def inject(self, world: World) -> Injection:
        cluster = world.cluster
        assert isinstance(cluster, Killable)
        assert isinstance(cluster, HasProcesses)
        brokers = [node for node in cluster.nodes if node.is_broker]
        injection = Injection(
            fault=self.name,
            target=brokers[0].id,
            told=f"{len(brokers)} brokers",
            before=cluster.observe(),
            undo=tuple(note_node(world, START_NODE, node.id) for node in brokers),
            facts={"pids": {node.name: cluster.pid(node.id) for node in brokers}, "noticed": {}},
        )
        with undone_on_error(world, injection.undo):
            for node in brokers:
                before = cluster.observe()
                if self.hard:
                    cluster.kill(node.id)
                else:
                    assert isinstance(cluster, Stoppable)
                    cluster.stop(node.id, grace_s=self.grace_s)
                noticed = consequence(cluster, broker(node.id), node.id, before, timeout_s=self.notice_s)
                if noticed is None:
                    break
                injection.facts["noticed"][node.name] = noticed
                cluster.start(node.id)
                cluster.wait_healthy(timeout_s=IN_SYNC_DEADLINE_S)
        return injection

    def evidence(
        self,
        world: World,
        injection: Injection,
        *,
        timeout_s: float = EVIDENCE_DEADLINE_S,  # noqa: ARG002 - injecting looked at it all
    ) -> Evidence | None:
        """Of every broker the others noticed that it was gone, and another process runs in its place."""
        assert isinstance(world.cluster, HasProcesses)
        pids: dict[str, int] = injection.facts["pids"]
        again = {node.name: world.cluster.pid(node.id) for node in world.cluster.nodes if node.name in pids}
        if injection.facts["noticed"].keys() != pids.keys() or any(again[n] == pids[n] for n in pids):
            return None
        told = f"each of {', '.join(pids)} was missed by the others and runs again as another process"
        return Evidence(told=told, facts={**injection.facts, "new_pids": again})
