"""Faults of a client's process: kill -9 and pause of a recording client or an application."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Any, ClassVar

from kafkaos.cluster import Cluster
from kafkaos.errors import SetupFailed
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection
from kafkaos.faults.node import is_frozen
from kafkaos.faults.roles import client
from kafkaos.faults.undo import RESTART_CLIENT, RESUME_CLIENT, note_client, undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import ClientProcess, World


@dataclass(frozen=True)
class ClientFault(Fault):
    """A fault of one client; clients are ours on every backend."""

    family: ClassVar = "clients"
    client: str

    def available(self, cluster: Cluster) -> str | None:  # noqa: ARG002 - some ask the cluster for a proof
        return None


@dataclass(frozen=True)
class KillClient(ClientFault):
    """kill -9 of a client. Healing starts a new incarnation of it, unless `restart=False`."""

    name: ClassVar = "kill-client"
    title: ClassVar = "kill -9 of a client"
    restart: bool = True

    def __str__(self) -> str:
        return f"kill -9 of client {self.client}"

    def inject(self, world: World) -> Injection:
        injection = aim_at_client(self.name, self.client, world, RESTART_CLIENT, restart=self.restart)
        with undone_on_error(world, injection.undo):
            world.clients[self.client].kill()
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The very process that was hit ended by SIGKILL."""
        if client_ended_with(world, injection, timeout_s=timeout_s) != -signal.SIGKILL:
            return None
        return Evidence(told=f"{injection.told} ended by SIGKILL", facts=dict(injection.facts))


@dataclass(frozen=True)
class PauseClient(ClientFault):
    """SIGSTOP of a client, as a long garbage collection: it sends no heartbeat and does not know it."""

    name: ClassVar = "pause-client"
    title: ClassVar = "pause (SIGSTOP) of a client"

    def __str__(self) -> str:
        return f"pause of client {self.client}"

    def inject(self, world: World) -> Injection:
        injection = aim_at_client(self.name, self.client, world, RESUME_CLIENT)
        with undone_on_error(world, injection.undo):
            world.clients[self.client].pause()
        return injection

    def evidence(
        self,
        world: World,  # noqa: ARG002 - the kernel knows by the pid
        injection: Injection,
        *,
        timeout_s: float = EVIDENCE_DEADLINE_S,
    ) -> Evidence | None:
        """The kernel says that the process is stopped."""
        if not until(lambda: is_frozen(injection.facts["pid"]) or None, timeout_s=timeout_s):
            return None
        return Evidence(told=f"{injection.told} is stopped (process state T)", facts=dict(injection.facts))


def named(world: World, name: str) -> ClientProcess:
    """The client of the run with this name; WrongUse, with the near match, if there is none."""
    return world.clients[client(name).resolve(world)]


def client_ended_with(world: World, injection: Injection, *, timeout_s: float) -> int | None:
    """The exit status of the very process that was hit; None if it runs at the deadline, or another took its place."""
    hit = world.clients[str(injection.target)]

    def ended() -> int | None:
        return hit.exit_status if hit.pid == injection.facts["pid"] else None

    return until(ended, timeout_s=timeout_s)


def aim_at_client(fault: str, name: str, world: World, undo_kind: str, **undo_facts: Any) -> Injection:
    """Look at the client and the cluster, and have the undo on disk. SetupFailed for one that is down or paused."""
    hit = named(world, name)
    if not hit.is_running:
        raise SetupFailed(f"client {name} does not run: start it, or heal the earlier fault before this one")
    if is_frozen(hit.pid):
        raise SetupFailed(f"client {name} is paused already: heal the earlier fault before this one")
    before = world.cluster.observe()
    undo = (note_client(world, undo_kind, name, **undo_facts),)
    return Injection(
        fault=fault, target=name, told=f"client {name}", before=before, undo=undo, facts={"pid": hit.pid}
    )
