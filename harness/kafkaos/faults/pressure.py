"""Faults of what one node may use: too many connections, too little memory."""

from __future__ import annotations

import contextlib
import re
import socket
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from kafkaos.backends.ask import round_trip_s
from kafkaos.cluster import (
    Administered,
    Cluster,
    HasEnvironment,
    HasLogs,
    HasProcesses,
    HasTls,
    Killable,
    Stoppable,
)
from kafkaos.errors import WrongUse
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.journal import UNDO_KINDS, Undo, UndoKind
from kafkaos.faults.node import aim_at_node, logged_since, node_id_of, restart_with
from kafkaos.faults.roles import NodeTarget
from kafkaos.faults.undo import start_node, undone_on_error
from kafkaos.faults.waiting import LOOK_EVERY_S, until
from kafkaos.faults.world import World
from kafkaos.tls.handshake import client_context

RELEASE_CONNECTIONS: Final = "release-connections"
GIVE_MEMORY_BACK: Final = "give-memory-back"
MAX_CONNECTIONS: Final = "listener.name.client.max.connections"
CONNECT_TIMEOUT_S: Final = 2.0
ANSWER_WITHIN_S: Final = 1.0
"""A broker that takes longer for a client that it has may merely stand still: a new one is given 2 s."""
STARTED_DEADLINE_S: Final = 90.0
_GC_PAUSE: Final = re.compile(r"GC\(\d+\) Pause .*\((\d+)M\)")
_held: dict[str, list[socket.socket]] = {}
"""Of each broker that is full; the first is a client's that was served before."""


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
            held = _held.setdefault(_key(world, node_id), [])
            held.append(_served(world, host, int(port)))
            world.cluster.alter_broker(node_id, {MAX_CONNECTIONS: str(self.limit)})
            for _ in range(self.limit):
                held.append(socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S))
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """A new client gets no answer, while one that was connected before goes on getting its own."""
        cluster, node_id = world.cluster, node_id_of(injection)
        served = _held[_key(world, node_id)][0]

        def full() -> Evidence | None:
            took_s = []
            with ThreadPoolExecutor(1) as pool:
                asked = pool.submit(cluster.observe, [])
                try:
                    while not wait([asked], LOOK_EVERY_S).done:
                        took_s.append(round_trip_s(served))
                except OSError:  # it is gone, or stands still
                    return None
            state = asked.result()
            if not took_s or max(took_s) > ANSWER_WITHIN_S:
                return None
            if node_id not in state.alive or node_id in state.answered:
                return None
            told = (
                f"{injection.told} answers the client that it has within {max(took_s):.3f} s, and no new one"
            )
            return Evidence(told=told, facts={**injection.facts, "answered_within_s": max(took_s)})

        return until(full, timeout_s=timeout_s)


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


def _served(world: World, host: str, port: int) -> socket.socket:
    """A client's connection, on which the broker has answered."""
    connection = socket.create_connection((host, port), CONNECT_TIMEOUT_S)
    tls = world.cluster.tls if isinstance(world.cluster, HasTls) else None
    if tls is not None:
        connection = client_context(tls.client("client")).wrap_socket(connection, server_hostname=host)
    # Longer than anybody looks: after a question that was given up the next would get its answer.
    connection.settimeout(EVIDENCE_DEADLINE_S)
    round_trip_s(connection)
    return connection


def _release(world: World, undo: Undo) -> None:
    cluster, node_id = world.cluster, undo.facts["node"]
    for held in _held.pop(_key(world, node_id), []):
        with contextlib.suppress(OSError):
            held.close()
    start_node(world, undo)
    assert isinstance(cluster, Administered)
    # The limit is in the cluster's metadata: a broker that was restarted has it as well. It may be starting yet.
    until(lambda: (node_id in cluster.observe([]).answered) or None, timeout_s=STARTED_DEADLINE_S)
    cluster.alter_broker(node_id, undo.facts["settings"])


def _give_back(world: World, undo: Undo) -> None:
    restart_with(world, undo.facts["node"], {}, grace_s=undo.facts["grace_s"])


def _leftover(undo: Undo) -> str:
    return f"the limits of {undo.facts['name']} ended with its run; nothing to undo."


UNDO_KINDS[RELEASE_CONNECTIONS] = UndoKind(_release, _leftover)
UNDO_KINDS[GIVE_MEMORY_BACK] = UndoKind(_give_back, _leftover)
