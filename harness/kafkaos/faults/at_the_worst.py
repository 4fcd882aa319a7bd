"""A client killed at its worst moment: between work and commit, or with records that are not answered.

The moment is not guessed: the process is frozen, looked at, and killed only if it is in that state; else it goes on
and is frozen again.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from kafkaos.cluster import Cluster, HasGroups
from kafkaos.errors import SetupFailed, WrongUse
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Injection, lacking
from kafkaos.faults.clients import ClientFault, aim_at_client, client_ended_with, named
from kafkaos.faults.node import is_frozen
from kafkaos.faults.undo import RESTART_CLIENT, undone_on_error
from kafkaos.faults.waiting import LOOK_EVERY_S, until
from kafkaos.faults.world import ClientProcess, Member, Sender, World
from kafkaos.history.reading import read_segment
from kafkaos.history.rows import Op

MOMENT_DEADLINE_S: Final = 30.0


@dataclass(frozen=True)
class KillBeforeCommit(ClientFault):
    """kill -9 of a group's consumer that has processed records whose offsets are not committed.

    They are read again, by itself or another member: at least once, never skipped.
    """

    name: ClassVar = "kill-before-commit"
    title: ClassVar = "kill -9 of a consumer between processing and commit"
    restart: bool = True

    def __str__(self) -> str:
        return f"kill -9 of client {self.client} between processing and commit"

    def available(self, cluster: Cluster) -> str | None:
        return lacking(cluster, [HasGroups], what="tell committed offsets")

    def inject(self, world: World) -> Injection:
        member, cluster = named(world, self.client), world.cluster
        if not isinstance(member, Member) or member.group is None:
            raise WrongUse(f"client {self.client} is not a recording consumer of a group: use kill-client")
        group = member.group
        assert isinstance(cluster, HasGroups)
        injection = aim_at_client(self.name, self.client, world, RESTART_CLIENT, restart=self.restart)

        def ahead() -> dict[str, Any] | None:
            committed = cluster.committed(group)
            uncommitted = {
                f"{topic}-{partition}": done - committed.get((topic, partition), 0)
                for (topic, partition), done in positions(member.segment_path).items()
                if done > committed.get((topic, partition), 0)
            }
            return {"uncommitted": uncommitted} if uncommitted else None

        with undone_on_error(world, injection.undo):
            injection.facts.update(_kill_when(member, ahead, "processed and not committed records"))
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """It ended by SIGKILL with records processed past the committed offset."""
        if client_ended_with(world, injection, timeout_s=timeout_s) != -signal.SIGKILL:
            return None
        records = sum(injection.facts["uncommitted"].values())
        told = f"{injection.told} ended by SIGKILL with {records} processed records not committed"
        return Evidence(told=told, facts=dict(injection.facts))


@dataclass(frozen=True)
class KillWithFullBuffers(ClientFault):
    """kill -9 of a producer that has at least so many records handed over and not answered."""

    name: ClassVar = "kill-with-full-buffers"
    title: ClassVar = "kill -9 of a producer with records in its buffers"
    records: int = 1
    restart: bool = True

    def __str__(self) -> str:
        return f"kill -9 of client {self.client} with {self.records} records in its buffers"

    def inject(self, world: World) -> Injection:
        sender = named(world, self.client)
        if not isinstance(sender, Sender):
            raise WrongUse(f"client {self.client} is not a recording producer: use kill-client")
        injection = aim_at_client(self.name, self.client, world, RESTART_CLIENT, restart=self.restart)

        def full() -> dict[str, Any] | None:
            outstanding = sender.outstanding
            return {"outstanding": outstanding} if outstanding >= self.records else None

        with undone_on_error(world, injection.undo):
            injection.facts.update(_kill_when(sender, full, f"{self.records} unanswered records"))
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """It ended by SIGKILL with that many records not answered."""
        if client_ended_with(world, injection, timeout_s=timeout_s) != -signal.SIGKILL:
            return None
        told = f"{injection.told} ended by SIGKILL with {injection.facts['outstanding']} records not answered"
        return Evidence(told=told, facts=dict(injection.facts))


def positions(segment: Path) -> dict[tuple[str, int], int]:
    """The offset after the last record that a consumer recorded as processed, or as read if it tells only that."""
    found = read_segment(segment)
    worked = found.rows["op"] == Op.PROCESS
    rows = found.rows[worked if worked.any() else found.rows["op"] == Op.READ]
    done: dict[tuple[str, int], int] = {}
    for place in np.unique(rows[["topic", "partition"]]):
        here = rows[(rows["topic"] == place["topic"]) & (rows["partition"] == place["partition"])]
        done[found.topics[place["topic"]], int(place["partition"])] = int(here["offset"].max()) + 1
    return done


def _kill_when(hit: ClientProcess, look: Callable[[], dict[str, Any] | None], what: str) -> dict[str, Any]:
    """Freeze, look, kill; a process that is not in that state goes on for a moment. What was seen."""
    deadline_s = time.monotonic() + MOMENT_DEADLINE_S
    while True:
        hit.pause()
        try:
            until(lambda: is_frozen(hit.pid) or None, timeout_s=MOMENT_DEADLINE_S)
            seen = look()
            if seen is not None:
                hit.kill()
                return seen
        finally:
            if hit.is_running:
                hit.resume()
        if time.monotonic() > deadline_s:
            raise SetupFailed(
                f"client {hit.name} had no {what} whenever it was looked at: give it more to do"
            )
        time.sleep(LOOK_EVERY_S)  # let it work
