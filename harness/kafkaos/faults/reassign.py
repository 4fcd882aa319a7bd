"""A partition moved to another broker under load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kafkaos.cluster import Administered, Cluster
from kafkaos.errors import SetupFailed
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.roles import observe_led
from kafkaos.faults.undo import undone_on_error
from kafkaos.faults.undo_admin import note_replicas, replicas_are
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World


@dataclass(frozen=True)
class Reassign(Fault):
    """A partition's leader gives its replica to a broker that has none; both copy and serve meanwhile.

    Healing moves it back.
    """

    name: ClassVar = "reassign"
    family: ClassVar = "leadership"
    title: ClassVar = "a partition moves to another broker under load"
    topic: str
    partition: int = 0

    def __str__(self) -> str:
        return f"reassignment of {self.topic}-{self.partition}"

    def available(self, cluster: Cluster) -> str | None:
        if sum(node.is_broker for node in cluster.nodes) < 2:
            return "with one broker there is nowhere to move to"
        return lacking(cluster, [Administered], what="reassign partitions")

    def inject(self, world: World) -> Injection:
        cluster = world.cluster
        assert isinstance(cluster, Administered)
        was, before, state = observe_led(world, self.topic, self.partition)
        free = [node.id for node in cluster.nodes if node.is_broker and node.id not in state.replicas]
        if not free:
            raise SetupFailed(
                f"every broker has a replica of {self.topic}-{self.partition}: create it with fewer replicas"
            )
        wanted = [world.rng.choice(free), *(node_id for node_id in state.replicas if node_id != was)]
        undo = note_replicas(world, state, told=f"the move of {self.topic}-{self.partition}")
        with undone_on_error(world, [undo]):
            cluster.reassign(self.topic, self.partition, wanted)
        told = f"{self.topic}-{self.partition} (on brokers {list(state.replicas)})"
        return Injection(
            fault=self.name, target=was, told=told, before=before, undo=(undo,), facts={"replicas": wanted}
        )

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """Its replicas are the wanted ones, all in sync, and the one that left does not lead."""
        wanted: list[int] = injection.facts["replicas"]

        def moved() -> bool | None:
            return replicas_are(world, self.topic, self.partition, wanted) or None

        if not until(moved, timeout_s=timeout_s):
            return None
        told = f"{injection.told} is on brokers {wanted}, all in sync"
        return Evidence(told=told, facts=dict(injection.facts))
