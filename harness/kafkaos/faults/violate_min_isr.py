"""Faults of replication: an ISR below min.insync.replicas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kafkaos.cluster import Cluster, Killable
from kafkaos.errors import SetupFailed, WrongUse
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.roles import observe_led
from kafkaos.faults.undo import START_NODE, note_node, undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World


@dataclass(frozen=True)
class ViolateMinIsr(Fault):
    """kill -9 of so many followers that a partition's ISR falls below the topic's min.insync.replicas.

    The leader survives, so `acks=all` must be refused (NOT_ENOUGH_REPLICAS) while reading goes on.
    """

    name: ClassVar = "violate-min-isr"
    family: ClassVar = "replication"
    title: ClassVar = "ISR below min.insync.replicas"
    topic: str
    partition: int = 0
    survivors: int = 1

    def __str__(self) -> str:
        return f"{self.survivors} of the ISR of {self.topic}-{self.partition} left, below min.insync.replicas"

    def available(self, cluster: Cluster) -> str | None:
        reason = lacking(cluster, [Killable], what="kill a node")
        if reason is not None:
            return reason
        brokers = sum(node.is_broker for node in cluster.nodes)
        controllers = sum(node.is_controller for node in cluster.nodes)
        victims = min(3, brokers) - self.survivors
        if victims < 1:
            return f"with {brokers} broker(s) no follower can be killed while {self.survivors} survive(s)"
        combined = any(node.role == "combined" for node in cluster.nodes)
        if combined and 2 * (controllers - victims) <= controllers:
            return "the brokers are controllers too: without a majority of them nobody could shrink the ISR"
        return None

    def inject(self, world: World) -> Injection:
        cluster = world.cluster
        assert isinstance(cluster, Killable)
        least = int(cluster.topic_config(self.topic)["min.insync.replicas"])
        if not 1 <= self.survivors < least:
            raise WrongUse(
                f"{self.survivors} survivor(s) are not below min.insync.replicas={least} of {self.topic}: "
                f"create it with min.insync.replicas={max(self.survivors, 1) + 1}, or choose fewer (at least 1)"
            )
        leads, before, state = observe_led(world, self.topic, self.partition)
        if len(state.isr) < least:
            raise SetupFailed(
                f"{self.topic}-{self.partition} is below min.insync.replicas already: heal that first"
            )
        kept = {leads, *sorted(set(state.isr) - {leads})[: self.survivors - 1]}
        # Replicas out of sync go too: one that caught up would fill the ISR again.
        victims = [
            node_id
            for node_id in sorted(state.replicas)
            if node_id not in kept and cluster.is_running(node_id)
        ]
        undo = tuple(note_node(world, START_NODE, node_id) for node_id in victims)
        with undone_on_error(world, undo):
            for node_id in victims:
                cluster.kill(node_id)
        names = " and ".join(cluster.node(node_id).name for node_id in victims)
        return Injection(
            fault=self.name,
            target=leads,
            told=f"{names}, followers of {self.topic}-{self.partition}",
            before=before,
            undo=undo,
            facts={"min_insync_replicas": least, "leader": leads, "killed": victims},
        )

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The survivors tell an ISR that is too small, and a leader."""
        least = injection.facts["min_insync_replicas"]

        def shrunk() -> Evidence | None:
            state = world.cluster.observe([self.topic]).partition(self.topic, self.partition)
            if state is None or state.leader is None or len(state.isr) >= least:
                return None
            isr = list(state.isr)
            told = f"the ISR of {self.topic}-{self.partition} is {isr}, below min.insync.replicas={least}"
            return Evidence(told=told, facts={**injection.facts, "isr": isr, "leader": state.leader})

        return until(shrunk, timeout_s=timeout_s)
