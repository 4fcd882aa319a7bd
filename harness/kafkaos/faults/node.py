"""What the faults of a node have in common: aiming at it, and looking at its process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import psutil

from kafkaos.cluster import HasEnvironment, HasLogs, HasProcesses, Killable, Stoppable
from kafkaos.errors import SetupFailed
from kafkaos.faults.base import Evidence, Injection
from kafkaos.faults.journal import Undo
from kafkaos.faults.proofs import consequence, left
from kafkaos.faults.roles import NodeTarget
from kafkaos.faults.undo import RESUME_NODE, note_node
from kafkaos.faults.world import World


def is_frozen(pid: int | None) -> bool:
    """Whether the kernel has this process in state T (stopped by a signal)."""
    try:
        return pid is not None and psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


def aim_at_node(
    fault: str,
    target: NodeTarget,
    world: World,
    undo_kind: str,
    *,
    facts: Callable[[int], dict[str, Any]] = lambda _: {},
) -> Injection:
    """Resolve the target, look at the cluster, and have the undo on disk, with `facts` of the node in both."""
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
    noted = facts(node_id)
    undo: tuple[Undo, ...] = (note_node(world, undo_kind, node_id, **noted),)
    noted = {"pid": world.cluster.pid(node_id), **noted}
    return Injection(fault=fault, target=node_id, told=told, before=before, undo=undo, facts=noted)


def node_id_of(injection: Injection) -> int:
    """The node that was hit."""
    assert isinstance(injection.target, int)
    return injection.target


def ended_with(world: World, injection: Injection) -> int | None:
    """The exit status of the very process that was hit; None while it runs or if another took its place."""
    assert isinstance(world.cluster, HasProcesses)
    if world.cluster.pid(node_id_of(injection)) != injection.facts["pid"]:
        return None
    return world.cluster.exit_status(node_id_of(injection))


def restart_with(world: World, node_id: int, variables: Mapping[str, str], *, grace_s: float) -> None:
    """Stop a node in order and start it with these environment variables, in place of those given before."""
    cluster = world.cluster
    assert isinstance(cluster, HasEnvironment)
    assert isinstance(cluster, Killable)
    assert isinstance(cluster, Stoppable)
    cluster.set_environment(node_id, variables)
    cluster.stop(node_id, grace_s=grace_s)
    cluster.start(node_id)


def logged_since(world: World, injection: Injection) -> str:
    """What the node that was hit logged after the `logged_bytes` of the injection's facts."""
    assert isinstance(world.cluster, HasLogs)
    with world.cluster.log_path(node_id_of(injection)).open("rb") as file:
        file.seek(injection.facts["logged_bytes"])
        return file.read().decode(errors="replace")


def noticed_too(
    world: World, target: NodeTarget, injection: Injection, deadline_s: float, told: str
) -> Evidence | None:
    """The evidence: what is `told` of the process, and what the others then said of the target's role."""
    noticed = consequence(
        world.cluster, target, node_id_of(injection), injection.before, timeout_s=left(deadline_s)
    )
    return None if noticed is None else Evidence(told=f"{told}; {noticed}", facts=dict(injection.facts))
