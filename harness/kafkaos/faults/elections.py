"""Faults of leadership by administration: a preferred election, and an unclean one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from kafkaos.cluster import Administered, Cluster, HasProcesses, Killable
from kafkaos.errors import SetupFailed, WrongUse
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.roles import observe_led
from kafkaos.faults.undo import START_NODE, note_node, undone_on_error
from kafkaos.faults.undo_admin import note_replicas
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World

STEP_DEADLINE_S = 60.0


@dataclass(frozen=True)
class PreferredElection(Fault):
    """The leader changes with everybody alive: another replica becomes the preferred one, and is elected.

    What an operator does after a restart. Healing puts the order of the replicas and the leader back.
    """

    name: ClassVar = "preferred-election"
    family: ClassVar = "leadership"
    title: ClassVar = "election of another preferred leader, all being alive"
    topic: str
    partition: int = 0

    def __str__(self) -> str:
        return f"preferred election of {self.topic}-{self.partition}"

    def available(self, cluster: Cluster) -> str | None:
        if sum(node.is_broker for node in cluster.nodes) < 2:
            return "with one broker there is nobody else to elect"
        return lacking(cluster, [Administered], what="elect leaders")

    def inject(self, world: World) -> Injection:
        cluster = world.cluster
        assert isinstance(cluster, Administered)
        was, before, state = observe_led(world, self.topic, self.partition, in_sync=True)
        others = [node_id for node_id in state.replicas if node_id != was]
        if not others:
            raise SetupFailed(f"{self.topic}-{self.partition} needs two replicas: it has {state.replicas}")
        told = f"{self.topic}-{self.partition} (led by broker {was})"
        undo = note_replicas(world, state, told=f"the order of the replicas of {self.topic}-{self.partition}")
        with undone_on_error(world, [undo]):
            # The same brokers in another order: nothing is copied, it holds at once.
            cluster.reassign(self.topic, self.partition, [*others, was])
            cluster.elect_leader(self.topic, self.partition)
        return Injection(
            fault=self.name, target=was, told=told, before=before, undo=(undo,), facts={"elected": others[0]}
        )

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The elected one leads, with a higher epoch."""
        was = injection.before.partition(self.topic, self.partition)
        elected = injection.facts["elected"]
        assert was is not None

        def led() -> Evidence | None:
            state = world.cluster.observe([self.topic]).partition(self.topic, self.partition)
            if state is None or state.leader != elected or state.leader_epoch <= was.leader_epoch:
                return None
            epochs = f"{was.leader_epoch} to {state.leader_epoch}"
            told = f"the leader of {self.topic}-{self.partition} went from {was.leader} to {elected} (epoch {epochs})"
            return Evidence(told=told, facts=dict(injection.facts))

        return until(led, timeout_s=timeout_s)


@dataclass(frozen=True)
class UncleanElection(Fault):
    """A replica that lacks records is made the leader: what followers missed is lost, though acknowledged.

    All followers are killed, the leader goes on alone as the whole ISR and is killed; then one follower starts and
    is elected uncleanly. Needs min.insync.replicas=1: with more, the leader alone would acknowledge nothing, and
    nothing would be lost. What is lost stays lost when it is healed.
    """

    name: ClassVar = "unclean-election"
    family: ClassVar = "leadership"
    title: ClassVar = "election of a leader that lacks records"
    topic: str
    partition: int = 0

    def __str__(self) -> str:
        return f"unclean election of {self.topic}-{self.partition}"

    def available(self, cluster: Cluster) -> str | None:
        reason = lacking(cluster, [Administered, Killable, HasProcesses], what="elect leaders")
        if reason is not None:
            return reason
        if sum(node.is_broker for node in cluster.nodes) < 2:
            return "with one broker there is nobody else to elect"
        if any(node.role == "combined" for node in cluster.nodes):
            return "the brokers are controllers too: with all but one dead there is no quorum for an election"
        return None

    def inject(self, world: World) -> Injection:
        cluster = world.cluster
        assert isinstance(cluster, Killable)
        assert isinstance(cluster, Administered)
        if cluster.topic_config(self.topic)["min.insync.replicas"] != "1":
            raise WrongUse(f"an unclean election of {self.topic} needs min.insync.replicas=1: create it so")
        was, before, state = observe_led(world, self.topic, self.partition)
        followers = [node_id for node_id in state.replicas if node_id != was]
        if not followers:
            raise SetupFailed(f"{self.topic}-{self.partition} has one replica: create it with more")
        undo = tuple(note_node(world, START_NODE, node_id) for node_id in (was, *followers))
        with undone_on_error(world, undo):
            for node_id in followers:
                cluster.kill(node_id)
            self._wait(
                world, lambda leads, isr: leads == was and isr == (was,), f"broker {was} to be the whole ISR"
            )
            cluster.kill(was)
            cluster.start(followers[0])
            self._wait(world, lambda leads, _: leads is None, "a living broker to tell that nobody leads")
            cluster.elect_leader(self.topic, self.partition, unclean=True)
        told = f"{self.topic}-{self.partition} (led by broker {was})"
        return Injection(
            fault=self.name, target=was, told=told, before=before, undo=undo, facts={"elected": followers[0]}
        )

    def _wait(self, world: World, fits: Callable[[int | None, tuple[int, ...]], bool], what: str) -> None:
        def look() -> bool | None:
            state = world.cluster.observe([self.topic]).partition(self.topic, self.partition)
            return (state is not None and fits(state.leader, state.isr)) or None

        if not until(look, timeout_s=STEP_DEADLINE_S):
            raise SetupFailed(
                f"waited {STEP_DEADLINE_S:g} s in vain for {what} ({self.topic}-{self.partition})"
            )

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """One that was not in the last ISR leads, with a higher epoch, while the whole last ISR is down."""
        was = injection.before.partition(self.topic, self.partition)
        elected = injection.facts["elected"]
        assert was is not None

        def led() -> Evidence | None:
            now = world.cluster.observe([self.topic])
            state = now.partition(self.topic, self.partition)
            if state is None or state.leader != elected or state.leader_epoch <= was.leader_epoch:
                return None
            if was.leader in now.alive:
                return None
            told = (
                f"broker {elected}, out of sync, leads {self.topic}-{self.partition} in place of {was.leader}"
            )
            return Evidence(told=told, facts={**injection.facts, "leader_epoch": state.leader_epoch})

        return until(led, timeout_s=timeout_s)
