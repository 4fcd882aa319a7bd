"""Faults of what one node may use: too many connections, too little memory."""

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
    Stoppable,
)
from kafkaos.errors import WrongUse
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.journal import UNDO_KINDS, Undo, UndoKind
from kafkaos.faults.node import aim_at_node, logged_since, node_id_of, restart_with
from kafkaos.faults.roles import NodeTarget
from kafkaos.faults.undo import start_node, undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World

RELEASE_CONNECTIONS: Final = "release-connections"
GIVE_MEMORY_BACK: Final = "give-memory-back"
MAX_CONNECTIONS: Final = "listener.name.client.max.connections"
CONNECT_TIMEOUT_S: Final = 2.0
_GC_PAUSE: Final = re.compile(r"GC\(\d+\) Pause .*\((\d+)M\)")
_held: dict[str, list[socket.socket]] = {}


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
    start_node(world, undo)
    assert isinstance(world.cluster, Administered)
    # The limit is in the cluster's metadata: a broker that was restarted has it as well.
    world.cluster.alter_broker(undo.facts["node"], undo.facts["settings"])


def _give_back(world: World, undo: Undo) -> None:
    restart_with(world, undo.facts["node"], {}, grace_s=undo.facts["grace_s"])


def _leftover(undo: Undo) -> str:
    return f"the limits of {undo.facts['name']} ended with its run; nothing to undo."


UNDO_KINDS[RELEASE_CONNECTIONS] = UndoKind(_release, _leftover)
UNDO_KINDS[GIVE_MEMORY_BACK] = UndoKind(_give_back, _leftover)
