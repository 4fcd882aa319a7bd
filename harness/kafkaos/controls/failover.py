"""The fault that makes acks=1 lose: a leader dies while its followers are frozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kafkaos.cluster import Cluster, HasProcesses, Killable, Pausable
from kafkaos.faults import EVIDENCE_DEADLINE_S, Evidence, Injection
from kafkaos.faults.base import lacking
from kafkaos.faults.roles import Leader
from kafkaos.faults.undo import START_NODE, note_node, undo_all, undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World


@dataclass(frozen=True)
class DieAhead:
    """kill -9 of a leader whose followers are paused; they go on only when it is dead.

    The followers must still be in the ISR, so the broker's session has to be longer than their pause. When it is
    over for the leader too, one of them leads, and what they had not fetched is cut off the old leader's log.
    """

    name: ClassVar = "die-ahead"
    family: ClassVar = "leadership"
    title: ClassVar = "kill -9 of a leader whose followers are frozen, and fail-over to one of them"
    target: Leader

    def __str__(self) -> str:
        return f"death of {self.target} ahead of its followers"

    def available(self, cluster: Cluster) -> str | None:
        return lacking(cluster, [Killable, Pausable, HasProcesses], what="kill and pause nodes")

    def inject(self, world: World) -> Injection:
        cluster = world.cluster
        assert isinstance(cluster, Killable)
        assert isinstance(cluster, Pausable)
        before = cluster.observe()
        leader = self.target.resolve(world)
        undo = (note_node(world, START_NODE, leader),)
        with undone_on_error(world, undo):
            cluster.kill(leader)
            for node in cluster.nodes:
                if cluster.is_running(node.id) and cluster.is_paused(node.id):
                    cluster.resume(node.id)
            cluster.start(leader)
        return Injection(
            fault=self.name, target=leader, told=f"{self.target} (node {leader})", before=before, undo=undo
        )

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """Another broker leads in a higher epoch."""
        topic, partition = self.target.topic, self.target.partition
        was = injection.before.partition(topic, partition)

        def moved() -> Evidence | None:
            now = world.cluster.observe([topic]).partition(topic, partition)
            if was is None or now is None or now.leader in (None, injection.target):
                return None
            if now.leader_epoch <= was.leader_epoch:
                return None
            return Evidence(
                told=f"{topic}-{partition} is led by node {now.leader} in epoch {now.leader_epoch}"
            )

        return until(moved, timeout_s=timeout_s)

    def heal(self, world: World, injection: Injection) -> None:
        undo_all(world, injection.undo)
