"""Faults of limits: a quota, records that are too large, too many connections, too little memory."""

from __future__ import annotations

import contextlib
import re
import socket
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from kafkaos.cluster import (
    Administered,
    Cluster,
    HasEnvironment,
    HasLogs,
    HasProcesses,
    Killable,
    Probed,
    Stoppable,
)
from kafkaos.errors import WrongUse
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.journal import UNDO_KINDS, Undo, UndoKind
from kafkaos.faults.node import aim_at_node, logged_since, node_id_of, restart_with
from kafkaos.faults.roles import NodeTarget
from kafkaos.faults.undo import undone_on_error
from kafkaos.faults.undo_admin import ALTER_QUOTA, ALTER_TOPIC
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World

RELEASE_CONNECTIONS: Final = "release-connections"
GIVE_MEMORY_BACK: Final = "give-memory-back"
MAX_CONNECTIONS: Final = "listener.name.client.max.connections"
CONNECT_TIMEOUT_S: Final = 2.0
PROBE_BYTES: Final = 100
_GC_PAUSE: Final = re.compile(r"GC\(\d+\) Pause .*\((\d+)M\)")
_held: dict[str, list[socket.socket]] = {}


@dataclass(frozen=True)
class Quota(Fault):
    """A client id may send, or fetch, only so many bytes a second; brokers make it wait."""

    name: ClassVar = "quota"
    family: ClassVar = "limits"
    title: ClassVar = "a client id may send or fetch only so many bytes a second"
    client: str
    topic: str
    """At the leader of its partition a record of the same client id is offered, for the evidence."""
    produce_bytes_per_s: float | None = None
    fetch_bytes_per_s: float | None = None
    partition: int = 0

    def __post_init__(self) -> None:
        if not self._limits():
            raise WrongUse("a quota limits something: give produce_bytes_per_s or fetch_bytes_per_s")

    def __str__(self) -> str:
        told = ", ".join(f"{key} {value:g}" for key, value in self._limits().items())
        return f"quota of client id {self.client} ({told})"

    def available(self, cluster: Cluster) -> str | None:
        return lacking(cluster, [Administered, Probed], what="set quotas")

    def inject(self, world: World) -> Injection:
        assert isinstance(world.cluster, Administered)
        before = world.cluster.observe()
        limits = self._limits()
        undo = world.journal.record(
            ALTER_QUOTA,
            client_id=self.client,
            limits=dict.fromkeys(limits),
            told=f"the quota of client id {self.client}",
        )
        with undone_on_error(world, [undo]):
            world.cluster.alter_quota(self.client, limits)
        told = f"client id {self.client}"
        return Injection(
            fault=self.name,
            target=self.client,
            told=told,
            before=before,
            undo=(undo,),
            facts={"limits": limits},
        )

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """A broker tells a client of this id to wait. Only one that wants more than its quota is told so."""
        cluster = world.cluster
        assert isinstance(cluster, Probed)

        def throttled() -> int | None:
            offered = cluster.offer(self.topic, self.partition, client_id=self.client, size_bytes=PROBE_BYTES)
            return (offered is not None and offered.throttled_ms) or None

        waited_ms = until(throttled, timeout_s=timeout_s)
        if waited_ms is None:
            return None
        told = f"{injection.told} was told to wait {waited_ms} ms"
        return Evidence(told=told, facts={**injection.facts, "throttled_ms": waited_ms})

    def _limits(self) -> dict[str, float | None]:
        given = {
            "producer_byte_rate": self.produce_bytes_per_s,
            "consumer_byte_rate": self.fetch_bytes_per_s,
        }
        return {key: value for key, value in given.items() if value is not None}


@dataclass(frozen=True)
class RecordTooLarge(Fault):
    """A topic takes only batches of at most so many bytes: larger ones are refused, for sure not appended."""

    name: ClassVar = "record-too-large"
    family: ClassVar = "limits"
    title: ClassVar = "a topic refuses records that it took before (max.message.bytes)"
    topic: str
    max_bytes: int = 100

    def __str__(self) -> str:
        return f"{self.topic} takes at most {self.max_bytes} bytes"

    def available(self, cluster: Cluster) -> str | None:
        return lacking(cluster, [Administered, Probed], what="alter topics")

    def inject(self, world: World) -> Injection:
        assert isinstance(world.cluster, Administered)
        before = world.cluster.observe()
        was = world.cluster.topic_config(self.topic)["max.message.bytes"]
        undo = world.journal.record(
            ALTER_TOPIC,
            topic=self.topic,
            settings={"max.message.bytes": was},
            told=f"max.message.bytes of {self.topic}",
        )
        with undone_on_error(world, [undo]):
            world.cluster.alter_topic(self.topic, {"max.message.bytes": str(self.max_bytes)})
        return Injection(
            fault=self.name, target=self.topic, told=f"topic {self.topic}", before=before, undo=(undo,)
        )

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """A record of that size is refused as too large."""
        cluster = world.cluster
        assert isinstance(cluster, Probed)

        def refused() -> bool | None:
            offered = cluster.offer(self.topic, 0, client_id="kafkaos-probe", size_bytes=self.max_bytes)
            return (offered is not None and offered.error == "MSG_SIZE_TOO_LARGE") or None

        if not until(refused, timeout_s=timeout_s):
            return None
        told = (
            f"{injection.told} refused a record of {self.max_bytes} bytes and its batch (MSG_SIZE_TOO_LARGE)"
        )
        return Evidence(told=told, facts=dict(injection.facts))


@dataclass(frozen=True)
class TooManyConnections(Fault):
    """A broker's client listener is full: connections that do nothing take all that it accepts, others wait."""

    name: ClassVar = "too-many-connections"
    family: ClassVar = "limits"
    title: ClassVar = "a broker accepts no more connections of clients"
    target: NodeTarget
    limit: int = 10

    def __str__(self) -> str:
        return f"{self.limit} connections at {self.target} are all it accepts"

    def available(self, cluster: Cluster) -> str | None:
        return lacking(cluster, [Administered, Killable, HasProcesses], what="alter brokers")

    def inject(self, world: World) -> Injection:
        def facts(node_id: int) -> dict[str, Any]:
            if not world.cluster.node(node_id).is_broker:
                raise WrongUse("a controller has no clients: choose a broker")
            return {"settings": {MAX_CONNECTIONS: None}}

        injection = aim_at_node(self.name, self.target, world, RELEASE_CONNECTIONS, facts=facts)
        node_id = node_id_of(injection)
        assert isinstance(world.cluster, Administered)
        host, _, port = world.cluster.node(node_id).client_address.rpartition(":")
        with undone_on_error(world, injection.undo):
            world.cluster.alter_broker(node_id, {MAX_CONNECTIONS: str(self.limit)})
            held = _held.setdefault(_key(world, node_id), [])
            for _ in range(self.limit):
                held.append(socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S))
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """Its process runs, and a new client gets no answer."""
        cluster, node_id = world.cluster, node_id_of(injection)
        assert isinstance(cluster, Killable)

        def silent() -> bool | None:
            state = cluster.observe([])
            return (node_id in state.alive and node_id not in state.answered) or None

        if not until(silent, timeout_s=timeout_s):
            return None
        told = f"{injection.told} runs and answers no new client"
        return Evidence(told=told, facts=dict(injection.facts))


@dataclass(frozen=True)
class MemoryPressure(Fault):
    """A node runs with a small heap, so that its JVM collects garbage all the time. Healing restarts it as before."""

    name: ClassVar = "memory-pressure"
    family: ClassVar = "limits"
    title: ClassVar = "a node has too little memory"
    target: NodeTarget
    heap_mb: int = 64
    grace_s: float = 30.0

    def __str__(self) -> str:
        return f"a heap of {self.heap_mb} MB for {self.target}"

    def available(self, cluster: Cluster) -> str | None:
        needed = [HasEnvironment, HasLogs, HasProcesses, Killable, Stoppable]
        return lacking(cluster, needed, what="give a node less memory")

    def inject(self, world: World) -> Injection:
        cluster = world.cluster
        assert isinstance(cluster, HasLogs)

        def facts(node_id: int) -> dict[str, Any]:
            return {"logged_bytes": cluster.log_path(node_id).stat().st_size, "grace_s": self.grace_s}

        injection = aim_at_node(self.name, self.target, world, GIVE_MEMORY_BACK, facts=facts)
        # This variable has the last word over the command line.
        variables = {"_JAVA_OPTIONS": f"-Xmx{self.heap_mb}m -Xlog:gc:stderr"}
        with undone_on_error(world, injection.undo):
            restart_with(world, node_id_of(injection), variables, grace_s=self.grace_s)
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The JVM tells of collections within that little heap."""

        def collected() -> Evidence | None:
            heaps_mb = [int(found) for found in _GC_PAUSE.findall(logged_since(world, injection))]
            if not heaps_mb or max(heaps_mb) > self.heap_mb:
                return None
            told = f"{injection.told} collected garbage {len(heaps_mb)} times in at most {max(heaps_mb)} MB"
            return Evidence(told=told, facts=dict(injection.facts))

        return until(collected, timeout_s=timeout_s)


def _key(world: World, node_id: int) -> str:
    return f"{world.journal.path}#{node_id}"


def _release(world: World, undo: Undo) -> None:
    for held in _held.pop(_key(world, undo.facts["node"]), []):
        with contextlib.suppress(OSError):
            held.close()
    assert isinstance(world.cluster, Administered)
    assert isinstance(world.cluster, Killable)
    if not world.cluster.is_running(undo.facts["node"]):
        world.cluster.start(undo.facts["node"])
    # The limit is in the cluster's metadata: a broker that was restarted has it as well.
    world.cluster.alter_broker(undo.facts["node"], undo.facts["settings"])


def _give_back(world: World, undo: Undo) -> None:
    restart_with(world, undo.facts["node"], {}, grace_s=undo.facts["grace_s"])


def _leftover(undo: Undo) -> str:
    return f"the limits of {undo.facts['name']} ended with its run; nothing to undo."


UNDO_KINDS[RELEASE_CONNECTIONS] = UndoKind(_release, _leftover)
UNDO_KINDS[GIVE_MEMORY_BACK] = UndoKind(_give_back, _leftover)
