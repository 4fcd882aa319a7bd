"""How what faults did to a cluster's settings is undone: settings of topics, quotas, replicas.

These live in the cluster's own log: where a harness was killed its cluster ended with it, and nothing is left.
"""

from __future__ import annotations

from kafkaos.cluster import Administered, PartitionState
from kafkaos.errors import SetupFailed
from kafkaos.faults.journal import UNDO_KINDS, Undo, UndoKind
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World

ALTER_TOPIC = "alter-topic"
ALTER_QUOTA = "alter-quota"
REASSIGN = "reassign"

MOVED_DEADLINE_S = 60.0


def note_replicas(world: World, state: PartitionState, *, told: str) -> Undo:
    """Write to the journal that a partition's replicas and leader are to be as they are now."""
    return world.journal.record(
        REASSIGN, topic=state.topic, partition=state.partition, replicas=list(state.replicas), told=told
    )


def replicas_are(world: World, topic: str, partition: int, replicas: list[int]) -> bool:
    """Whether these are a partition's replicas, in this order, and all in sync."""
    state = world.cluster.observe([topic]).partition(topic, partition)
    return state is not None and list(state.replicas) == replicas and set(state.isr) == set(replicas)


def move(world: World, topic: str, partition: int, replicas: list[int]) -> None:
    """Reassign a partition and wait until it has moved; SetupFailed at the deadline."""
    assert isinstance(world.cluster, Administered)
    world.cluster.reassign(topic, partition, replicas)
    if not until(lambda: replicas_are(world, topic, partition, replicas) or None, timeout_s=MOVED_DEADLINE_S):
        raise SetupFailed(
            f"{topic}-{partition} did not move to brokers {replicas} within {MOVED_DEADLINE_S:g} s"
        )


def _alter_topic(world: World, undo: Undo) -> None:
    assert isinstance(world.cluster, Administered)
    world.cluster.alter_topic(undo.facts["topic"], undo.facts["settings"])


def _alter_quota(world: World, undo: Undo) -> None:
    assert isinstance(world.cluster, Administered)
    world.cluster.alter_quota(undo.facts["client_id"], undo.facts["limits"])


def _reassign(world: World, undo: Undo) -> None:
    assert isinstance(world.cluster, Administered)
    facts = undo.facts
    move(world, facts["topic"], facts["partition"], facts["replicas"])
    world.cluster.elect_leader(facts["topic"], facts["partition"])


def _leftover(undo: Undo) -> str:
    return f"{undo.facts['told']} ended with its cluster; nothing to undo."


UNDO_KINDS[ALTER_TOPIC] = UndoKind(_alter_topic, _leftover)
UNDO_KINDS[ALTER_QUOTA] = UndoKind(_alter_quota, _leftover)
UNDO_KINDS[REASSIGN] = UndoKind(_reassign, _leftover)
