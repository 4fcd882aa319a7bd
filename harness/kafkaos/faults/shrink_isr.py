"""A follower that falls out of the ISR and comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kafkaos.cluster import Cluster, HasProcesses, Killable, Pausable
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.node import aim_at_node, node_id_of
from kafkaos.faults.roles import follower
from kafkaos.faults.undo import RESUME_NODE, undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World


@dataclass(frozen=True)
class ShrinkIsr(Fault):
    """A follower stops fetching (SIGSTOP) until the ISR shrinks; healed, it catches up and the ISR expands."""

    name: ClassVar = "shrink-isr"
    family: ClassVar = "replication"
    title: ClassVar = "a follower falls out of the ISR, then the ISR expands again"
    topic: str
    partition: int = 0

    def __str__(self) -> str:
        return f"ISR shrink of {self.topic}-{self.partition}"

    def available(self, cluster: Cluster) -> str | None:
        if sum(node.is_broker for node in cluster.nodes) < 2:
            return "with one broker there is no follower"
        return lacking(cluster, [Killable, Pausable, HasProcesses], what="pause a node")

    def inject(self, world: World) -> Injection:
        injection = aim_at_node(self.name, follower(self.topic, self.partition), world, RESUME_NODE)
        assert isinstance(world.cluster, Pausable)
        with undone_on_error(world, injection.undo):
            world.cluster.pause(node_id_of(injection))
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The leader's ISR no longer has the follower."""

        def shrunk() -> Evidence | None:
            state = world.cluster.observe([self.topic]).partition(self.topic, self.partition)
            if state is None or node_id_of(injection) in state.isr:
                return None
            told = (
                f"{injection.told} left the ISR of {self.topic}-{self.partition}, which is {list(state.isr)}"
            )
            return Evidence(told=told, facts={**injection.facts, "isr": list(state.isr)})

        return until(shrunk, timeout_s=timeout_s)
