"""Faults of a node's process: kill -9, stop, pause, restart."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import Any, ClassVar

import psutil

from kafkaos.cluster import Cluster, HasProcesses, Killable, Pausable, Stoppable
from kafkaos.errors import SetupFailed
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Injection, lacking
from kafkaos.faults.journal import Undo
from kafkaos.faults.proofs import consequence, left
from kafkaos.faults.roles import NodeTarget
from kafkaos.faults.undo import RESUME_NODE, START_NODE, note_node, undo_all, undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World


@dataclass(frozen=True)
class Kill:
    """kill -9 of a node. The page cache stays with the machine: what the broker had written is not lost."""

    name: ClassVar = "kill"
    family: ClassVar = "process"
    title: ClassVar = "kill -9 of a node"
    target: NodeTarget

    def __str__(self) -> str:
        return f"kill -9 of {self.target}"

    def available(self, cluster: Cluster) -> str | None:
        return lacking(cluster, [Killable, HasProcesses], what="kill a node")

    def inject(self, world: World) -> Injection:
        injection = _aim(self.name, self.target, world, START_NODE)
        assert isinstance(world.cluster, Killable)
        with undone_on_error(world, injection.undo):
            world.cluster.kill(_node(injection))
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The process ended by SIGKILL, and the other brokers moved its role elsewhere."""
        deadline_s = time.monotonic() + timeout_s
        ended = until(lambda: _ended(world, injection), timeout_s=timeout_s)
        if ended != -signal.SIGKILL:
            return None
        return _evidence(world, self.target, injection, deadline_s, f"{injection.told} ended by SIGKILL")

    def heal(self, world: World, injection: Injection) -> None:
        undo_all(world, injection.undo)


@dataclass(frozen=True)
class Stop:
    """Controlled shutdown by SIGTERM. One that takes longer than `grace_s` is killed: that is no proof."""

    name: ClassVar = "stop"
    family: ClassVar = "process"
    title: ClassVar = "controlled shutdown (SIGTERM) of a node"
    target: NodeTarget
    grace_s: float = 30.0

    def __str__(self) -> str:
        return f"controlled shutdown of {self.target}"

    def available(self, cluster: Cluster) -> str | None:
        return lacking(cluster, [Killable, Stoppable, HasProcesses], what="stop a node in order")

    def inject(self, world: World) -> Injection:
        injection = _aim(self.name, self.target, world, START_NODE)
        assert isinstance(world.cluster, Stoppable)
        with undone_on_error(world, injection.undo):
            world.cluster.stop(_node(injection), grace_s=self.grace_s)
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The process ended by itself, and the other brokers moved its role elsewhere."""
        deadline_s = time.monotonic() + timeout_s
        ended = until(lambda: _ended(world, injection), timeout_s=timeout_s)
        if ended is None or ended == -signal.SIGKILL:
            return None
        told = f"{injection.told} shut down with status {ended}"
        return _evidence(world, self.target, injection, deadline_s, told)

    def heal(self, world: World, injection: Injection) -> None:
        undo_all(world, injection.undo)


@dataclass(frozen=True)
class Pause:
    """SIGSTOP of a node, as a long garbage collection or a stalled host.

    A pause that is meant to be shorter than the broker's session sets `expect_fenced=False`: then the frozen
    process alone is the proof.
    """

    name: ClassVar = "pause"
    family: ClassVar = "process"
    title: ClassVar = "pause (SIGSTOP) of a node"
    target: NodeTarget
    expect_fenced: bool = True

    def __str__(self) -> str:
        return f"pause of {self.target}"

    def available(self, cluster: Cluster) -> str | None:
        return lacking(cluster, [Killable, Pausable, HasProcesses], what="pause a node")

    def inject(self, world: World) -> Injection:
        injection = _aim(self.name, self.target, world, RESUME_NODE)
        assert isinstance(world.cluster, Pausable)
        with undone_on_error(world, injection.undo):
            world.cluster.pause(_node(injection))
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The kernel says that it is stopped and, where expected, the others moved its role elsewhere."""
        deadline_s = time.monotonic() + timeout_s
        if not until(lambda: is_frozen(injection.facts["pid"]) or None, timeout_s=timeout_s):
            return None
        told = f"{injection.told} is stopped (process state T)"
        if not self.expect_fenced:
            return Evidence(told=told, facts=dict(injection.facts))
        return _evidence(world, self.target, injection, deadline_s, told)

    def heal(self, world: World, injection: Injection) -> None:
        undo_all(world, injection.undo)


@dataclass(frozen=True)
class Restart:
    """A node goes down and comes up again, once; it stays down until the others have noticed.

    In order by default, `hard=True` by kill -9. Injecting lasts until the others notice, at most `notice_s`
    seconds.
    """

    name: ClassVar = "restart"
    family: ClassVar = "process"
    title: ClassVar = "restart of a node"
    target: NodeTarget
    hard: bool = False
    grace_s: float = 30.0
    notice_s: float = EVIDENCE_DEADLINE_S

    def __str__(self) -> str:
        return f"{'hard ' if self.hard else ''}restart of {self.target}"

    def available(self, cluster: Cluster) -> str | None:
        needed = [Killable, HasProcesses, *([] if self.hard else [Stoppable])]
        return lacking(cluster, needed, what="restart a node")

    def inject(self, world: World) -> Injection:
        injection = _aim(self.name, self.target, world, START_NODE)
        cluster, node_id = world.cluster, _node(injection)
        assert isinstance(cluster, Killable)
        try:
            if self.hard:
                cluster.kill(node_id)
            else:
                assert isinstance(cluster, Stoppable)
                cluster.stop(node_id, grace_s=self.grace_s)
            if not cluster.is_running(node_id):
                injection.facts["noticed"] = consequence(
                    cluster, self.target, node_id, injection.before, timeout_s=self.notice_s
                )
        finally:
            self.heal(world, injection)
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The others noticed that it was gone, and another process runs in its place."""
        cluster, node_id, noticed = world.cluster, _node(injection), injection.facts.get("noticed")
        assert isinstance(cluster, Killable)
        assert isinstance(cluster, HasProcesses)
        if not noticed:
            return None

        def again() -> int | None:
            new = cluster.pid(node_id)
            return new if cluster.is_running(node_id) and new != injection.facts["pid"] else None

        pid = until(again, timeout_s=timeout_s)
        if pid is None:
            return None
        told = f"{injection.told} was down ({noticed}) and runs again as pid {pid}"
        return Evidence(told=told, facts={**injection.facts, "new_pid": pid})

    def heal(self, world: World, injection: Injection) -> None:
        undo_all(world, injection.undo)


def is_frozen(pid: int | None) -> bool:
    """Whether the kernel has this process in state T (stopped by a signal)."""
    try:
        return pid is not None and psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


def _aim(fault: str, target: NodeTarget, world: World, undo_kind: str) -> Injection:
    """Resolve the target, look at the cluster, and have the undo on disk."""
    before = world.cluster.observe()
    node_id = target.resolve(world)
    assert isinstance(world.cluster, Killable)
    assert isinstance(world.cluster, HasProcesses)
    told = f"{target} ({world.cluster.node(node_id).name})"
    if not world.cluster.is_running(node_id):
        # Its old exit status would pass for this fault's proof.
        raise SetupFailed(f"{told} is down already: heal the earlier fault before this one")
    if undo_kind == RESUME_NODE and is_frozen(world.cluster.pid(node_id)):
        raise SetupFailed(f"{told} is paused already: heal the earlier fault before this one")
    facts: dict[str, Any] = {"pid": world.cluster.pid(node_id)}
    undo: tuple[Undo, ...] = (note_node(world, undo_kind, node_id),)
    return Injection(fault=fault, target=node_id, told=told, before=before, undo=undo, facts=facts)


def _node(injection: Injection) -> int:
    assert isinstance(injection.target, int)
    return injection.target


def _ended(world: World, injection: Injection) -> int | None:
    """The exit status of the very process that was hit; None while it runs or if another took its place."""
    assert isinstance(world.cluster, HasProcesses)
    if world.cluster.pid(_node(injection)) != injection.facts["pid"]:
        return None
    return world.cluster.exit_status(_node(injection))


def _evidence(
    world: World, target: NodeTarget, injection: Injection, deadline_s: float, told: str
) -> Evidence | None:
    noticed = consequence(
        world.cluster, target, _node(injection), injection.before, timeout_s=left(deadline_s)
    )
    return None if noticed is None else Evidence(told=f"{told}; {noticed}", facts=dict(injection.facts))
