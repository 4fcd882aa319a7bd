"""Targets told by their role, resolved when the fault fires: whoever leads then is hit.

Each is a value with a JSON form (`{"role": "leader", "topic": "orders", "partition": 0}`), so that a plan
repeats a run though brokers changed places. Role names are Kafka's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeAlias

from kafkaos.cluster import ClusterState, PartitionState
from kafkaos.errors import SetupFailed, WrongUse
from kafkaos.faults.values import build, lookup
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World
from kafkaos.shipped import near

RESOLVE_DEADLINE_S = 20.0


@dataclass(frozen=True)
class Leader:
    """The broker that leads a partition."""

    role: ClassVar = "leader"
    topic: str
    partition: int = 0

    def __str__(self) -> str:
        return f"the leader of {self.topic}-{self.partition}"

    def resolve(self, world: World) -> int:
        state = _partition(world, self.topic, self.partition, lambda s: s.leader is not None, "leader")
        assert state.leader is not None
        return state.leader


@dataclass(frozen=True)
class Follower:
    """An in-sync follower of a partition; of several one by the run's random numbers."""

    role: ClassVar = "follower"
    topic: str
    partition: int = 0

    def __str__(self) -> str:
        return f"a follower of {self.topic}-{self.partition}"

    def resolve(self, world: World) -> int:
        state = _partition(world, self.topic, self.partition, lambda s: len(s.isr) > 1, "follower in sync")
        return world.rng.choice(sorted(set(state.isr) - {state.leader}))


@dataclass(frozen=True)
class Controller:
    """The active controller."""

    role: ClassVar = "controller"

    def __str__(self) -> str:
        return "the active controller"

    def resolve(self, world: World) -> int:
        found = until(lambda: world.cluster.observe([]).controller, timeout_s=RESOLVE_DEADLINE_S)
        if found is None:
            raise SetupFailed("the cluster has no active controller: wait until it is healthy")
        return found


@dataclass(frozen=True)
class Coordinator:
    """The broker that coordinates a consumer group or a transactional id."""

    role: ClassVar = "coordinator"
    group: str | None = None
    transactional_id: str | None = None

    def __post_init__(self) -> None:
        if (self.group is None) == (self.transactional_id is None):
            raise WrongUse("a coordinator is that of a group or of a transactional_id: give one of them")

    def __str__(self) -> str:
        whose = (
            f"group {self.group}" if self.group is not None else f"transactional id {self.transactional_id}"
        )
        return f"the coordinator of {whose}"

    def resolve(self, world: World) -> int:
        if self.group is not None:
            return world.cluster.coordinator(self.group, kind="group")
        assert self.transactional_id is not None
        return world.cluster.coordinator(self.transactional_id, kind="transaction")


@dataclass(frozen=True)
class Broker:
    """The broker with this node id."""

    role: ClassVar = "broker"
    id: int

    def __str__(self) -> str:
        return f"broker {self.id}"

    def resolve(self, world: World) -> int:
        if not world.cluster.node(self.id).is_broker:
            raise WrongUse(f"node {self.id} is a controller only: use the role controller")
        return self.id


@dataclass(frozen=True)
class AnyBroker:
    """One of the living brokers, by the run's random numbers."""

    role: ClassVar = "any_broker"

    def __str__(self) -> str:
        return "a random broker"

    def resolve(self, world: World) -> int:
        alive = world.cluster.observe([]).alive
        brokers = sorted(node.id for node in world.cluster.nodes if node.is_broker and node.id in alive)
        if not brokers:
            raise SetupFailed("no broker is alive: heal the faults before, or start the cluster again")
        return world.rng.choice(brokers)


@dataclass(frozen=True)
class Client:
    """A client or application of the run, by its name."""

    role: ClassVar = "client"
    name: str

    def __str__(self) -> str:
        return f"client {self.name}"

    def resolve(self, world: World) -> str:
        if self.name not in world.clients:
            raise WrongUse(f"There is no client `{self.name}`{near(self.name, sorted(world.clients))}")
        return self.name


NodeTarget: TypeAlias = Leader | Follower | Controller | Coordinator | Broker | AnyBroker
Target: TypeAlias = NodeTarget | Client

_ROLES: dict[str, type[Target]] = {
    kind.role: kind for kind in (Leader, Follower, Controller, Coordinator, Broker, AnyBroker, Client)
}


def leader(topic: str, partition: int = 0) -> Leader:
    return Leader(topic, partition)


def follower(topic: str, partition: int = 0) -> Follower:
    return Follower(topic, partition)


def controller() -> Controller:
    return Controller()


def coordinator(*, group: str | None = None, transactional_id: str | None = None) -> Coordinator:
    return Coordinator(group=group, transactional_id=transactional_id)


def broker(id: int) -> Broker:
    return Broker(id)


def any_broker() -> AnyBroker:
    return AnyBroker()


def client(name: str) -> Client:
    return Client(name)


def to_json(target: Target) -> dict[str, Any]:
    """The role and what it needs; fields that are None are left out."""
    return {"role": target.role, **{key: value for key, value in asdict(target).items() if value is not None}}


def from_json(given: Mapping[str, Any]) -> Target:
    """The target again; WrongUse for an unknown role or key."""
    kind = lookup(_ROLES, given.get("role"), what="role")
    return build(
        kind, {key: value for key, value in given.items() if key != "role"}, what=f"role {kind.role}"
    )


def observe_led(
    world: World, topic: str, partition: int, *, in_sync: bool = False
) -> tuple[int, ClusterState, PartitionState]:
    """Who leads a partition, and the whole cluster and the partition as they were then.

    Waits for a leader, and if told for all replicas to be in sync; SetupFailed without.
    """
    if in_sync:
        _partition(
            world,
            topic,
            partition,
            lambda state: state.leader is not None and set(state.isr) == set(state.replicas),
            "leader with all replicas in sync",
        )
    was = leader(topic, partition).resolve(world)
    before = world.cluster.observe()
    state = before.partition(topic, partition)
    assert state is not None
    return was, before, state


def _partition(
    world: World, topic: str, partition: int, fits: Callable[[PartitionState], bool], what: str
) -> PartitionState:
    def look() -> PartitionState | None:
        state = world.cluster.observe([topic]).partition(topic, partition)
        return state if state is not None and fits(state) else None

    found = until(look, timeout_s=RESOLVE_DEADLINE_S)
    if found is None:
        raise SetupFailed(
            f"{topic}-{partition} has no {what}: create it with enough replicas, or wait until it is healthy"
        )
    return found
