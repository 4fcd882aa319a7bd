"""Every node killed at once; healing is the cold start."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

from kafkaos.cluster import Cluster, HasProcesses, Killable
from kafkaos.errors import SetupFailed
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.undo import START_NODE, note_node, undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World


@dataclass(frozen=True)
class KillAll(Fault):
    """kill -9 of all brokers and controllers, as a power cut that spares the disks. Healing is a cold start.

    The page cache stays with the machine: what was written is not lost.
    """

    name: ClassVar = "kill-all"
    family: ClassVar = "process"
    title: ClassVar = "kill -9 of every node, then a cold start"

    def __str__(self) -> str:
        return "kill -9 of every node"

    def available(self, cluster: Cluster) -> str | None:
        return lacking(cluster, [Killable, HasProcesses], what="kill a node")

    def inject(self, world: World) -> Injection:
        cluster = world.cluster
        assert isinstance(cluster, Killable)
        assert isinstance(cluster, HasProcesses)
        down = [node.name for node in cluster.nodes if not cluster.is_running(node.id)]
        if down:
            raise SetupFailed(f"{', '.join(down)} is down already: heal the earlier fault before this one")
        injection = Injection(
            fault=self.name,
            target=cluster.nodes[0].id,
            told=f"all {len(cluster.nodes)} nodes",
            before=cluster.observe(),
            undo=tuple(note_node(world, START_NODE, node.id) for node in cluster.nodes),
            facts={"pids": {str(node.id): cluster.pid(node.id) for node in cluster.nodes}},
        )
        with undone_on_error(world, injection.undo), ThreadPoolExecutor(len(cluster.nodes)) as pool:
            list(pool.map(cluster.kill, [node.id for node in cluster.nodes]))
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """Each of the very processes that were hit ended by SIGKILL, and no broker answers."""
        cluster = world.cluster
        assert isinstance(cluster, HasProcesses)
        pids: dict[str, int] = injection.facts["pids"]

        def all_ended() -> bool | None:
            ended = [
                cluster.exit_status(int(node_id)) == -signal.SIGKILL and cluster.pid(int(node_id)) == pid
                for node_id, pid in pids.items()
            ]
            return (all(ended) and not cluster.observe([]).answered) or None

        if not until(all_ended, timeout_s=timeout_s):
            return None
        told = f"{injection.told} ended by SIGKILL and no broker answers"
        return Evidence(told=told, facts=dict(injection.facts))
