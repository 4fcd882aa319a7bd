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
from kafkaos.faults.world import World


@dataclass(frozen=True)
class KillClient(Fault):
    """kill -9 of a client. Healing starts a new incarnation of it, unless `restart=False`."""

    name: ClassVar = "kill-client"
    family: ClassVar = "clients"
    title: ClassVar = "kill -9 of a client"
    client: str
    restart: bool = True

    def __str__(self) -> str:
        return f"kill -9 of client {self.client}"

    def available(self, cluster: Cluster) -> str | None:  # noqa: ARG002 - clients are ours on every backend
        return None

    def inject(self, world: World) -> Injection:
        injection = aim_at_client(self.name, self.client, world, RESTART_CLIENT, restart=self.restart)
        with undone_on_error(world, injection.undo):
            world.clients[self.client].kill()
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The very process that was hit ended by SIGKILL."""
        hit = world.clients[self.client]

        def ended() -> int | None:
            return hit.exit_status if hit.pid == injection.facts["pid"] else None

        if until(ended, timeout_s=timeout_s) != -signal.SIGKILL:
            return None
        return Evidence(told=f"{injection.told} ended by SIGKILL", facts=dict(injection.facts))


@dataclass(frozen=True)
class PauseClient(Fault):
    """SIGSTOP of a client, as a long garbage collection: it sends no heartbeat and does not know it."""

    name: ClassVar = "pause-client"
    family: ClassVar = "clients"
    title: ClassVar = "pause (SIGSTOP) of a client"
    client: str

    def __str__(self) -> str:
        return f"pause of client {self.client}"

    def available(self, cluster: Cluster) -> str | None:  # noqa: ARG002 - clients are ours on every backend
        return None

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


def aim_at_client(fault: str, name: str, world: World, undo_kind: str, **undo_facts: Any) -> Injection:
    """Look at the client and the cluster, and have the undo on disk. SetupFailed for one that is down or paused."""
    hit = world.clients[client(name).resolve(world)]
    if not hit.is_running:
        raise SetupFailed(f"client {name} does not run: start it, or heal the earlier fault before this one")
    if is_frozen(hit.pid):
        raise SetupFailed(f"client {name} is paused already: heal the earlier fault before this one")
    before = world.cluster.observe()
    undo = (note_client(world, undo_kind, name, **undo_facts),)
    return Injection(
        fault=fault, target=name, told=f"client {name}", before=before, undo=undo, facts={"pid": hit.pid}
    )
