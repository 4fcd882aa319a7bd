"""A node that dies again each time it came up."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Any, ClassVar

from kafkaos.cluster import Cluster, HasProcesses, Killable
from kafkaos.errors import SetupFailed, WrongUse
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.node import aim_at_node, node_id_of
from kafkaos.faults.roles import NodeTarget
from kafkaos.faults.undo import START_NODE, undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World

UP_DEADLINE_S = 60.0


@dataclass(frozen=True)
class CrashLoop(Fault):
    """kill -9 of a node, again as soon as it answers, so many times. Healing starts it for good."""

    name: ClassVar = "crash-loop"
    family: ClassVar = "process"
    title: ClassVar = "kill -9 of a node again and again, each time it came up"
    target: NodeTarget
    times: int = 3

    def __post_init__(self) -> None:
        if self.times < 2:
            raise WrongUse(f"times={self.times} is no loop: give 2 or more, or use kill")

    def __str__(self) -> str:
        return f"crash loop of {self.target}"

    def available(self, cluster: Cluster) -> str | None:
        return lacking(cluster, [Killable, HasProcesses], what="kill a node")

    def inject(self, world: World) -> Injection:
        injection = aim_at_node(self.name, self.target, world, START_NODE)
        cluster, node_id = world.cluster, node_id_of(injection)
        assert isinstance(cluster, Killable)
        assert isinstance(cluster, HasProcesses)
        crashes: list[dict[str, Any]] = []
        injection.facts["crashes"] = crashes
        with undone_on_error(world, injection.undo):
            for crash in range(self.times):
                if crash:
                    cluster.start(node_id)
                    if not until(lambda: self._answers(world, node_id), timeout_s=UP_DEADLINE_S):
                        raise SetupFailed(
                            f"{injection.told} did not come up between two crashes within {UP_DEADLINE_S:g} s"
                        )
                pid = cluster.pid(node_id)
                cluster.kill(node_id)
                crashes.append({"pid": pid, "exit_status": cluster.exit_status(node_id)})
        return injection

    @staticmethod
    def _answers(world: World, node_id: int) -> bool | None:
        state = world.cluster.observe([])
        # A controller alone answers no client: of it only its process is seen.
        up = state.answered if world.cluster.node(node_id).is_broker else state.alive
        return node_id in up or None

    def evidence(
        self,
        world: World,  # noqa: ARG002 - injecting noted it
        injection: Injection,
        *,
        timeout_s: float = EVIDENCE_DEADLINE_S,  # noqa: ARG002
    ) -> Evidence | None:
        """So many different processes of the node each ended by SIGKILL."""
        killed = {c["pid"] for c in injection.facts["crashes"] if c["exit_status"] == -signal.SIGKILL}
        if len(killed) != self.times:
            return None
        told = f"{injection.told} came up and ended by SIGKILL {self.times} times"
        return Evidence(told=told, facts=dict(injection.facts))
