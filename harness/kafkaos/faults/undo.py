"""How what faults did to processes is undone: in a run that lives, and after a harness that was killed.

Another kind (a mount, an iptables rule) is one more entry of `UNDO_KINDS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from kafkaos.cluster import HasEnvironment, HasProcesses, Killable, Pausable
from kafkaos.faults.journal import UNDO_KINDS, Undo, UndoKind, find, identity
from kafkaos.faults.world import Member, Reconfigurable, World

START_NODE = "start-node"
RESUME_NODE = "resume-node"
RESTART_CLIENT = "restart-client"
RESUME_CLIENT = "resume-client"
UNHINDER_CLIENT = "unhinder-client"
RECONFIGURE_CLIENT = "reconfigure-client"
END_CLIENT = "end-client"


def note_node(world: World, kind: str, node_id: int, **facts: Any) -> Undo:
    """Write to the journal that this node is to be started, resumed or mended."""
    cluster = world.cluster
    pid = cluster.pid(node_id) if isinstance(cluster, HasProcesses) else None
    return world.journal.record(kind, node=node_id, name=cluster.node(node_id).name, **facts, **identity(pid))


def note_client(world: World, kind: str, name: str, **facts: Any) -> Undo:
    """Write to the journal that this client is to be restarted or resumed."""
    return world.journal.record(kind, name=name, **facts, **identity(world.clients[name].pid))


def undo_all(world: World, undos: Iterable[Undo]) -> None:
    """Undo what was noted, in a run that lives. All are tried; the first error is raised at the end."""
    errors: list[Exception] = []
    for undo in undos:
        try:
            UNDO_KINDS[undo.kind].live(world, undo)
            world.journal.healed(undo)
        except Exception as error:  # one node that does not start must not leave the next one paused
            errors.append(error)
    if errors:
        raise errors[0]


@contextmanager
def undone_on_error(world: World, undos: Iterable[Undo]) -> Iterator[None]:
    """For the acting part of an injection: whatever breaks it off half-way, Ctrl-C too, it is undone."""
    try:
        yield
    except BaseException:
        undo_all(world, undos)
        raise


def heal_pending(world: World) -> list[Undo]:
    """Undo everything of this run that is not undone yet: the last net when a run ends however it ends."""
    undos = world.journal.pending()
    undo_all(world, undos)
    return undos


def start_without(world: World, undo: Undo) -> None:
    """The node's next process has no environment of ours any more; it starts if the node is down."""
    assert isinstance(world.cluster, HasEnvironment)
    world.cluster.set_environment(undo.facts["node"], {})
    start_node(world, undo)


def start_node(world: World, undo: Undo) -> None:
    """The node runs again, if it is down."""
    assert isinstance(world.cluster, Killable)
    if not world.cluster.is_running(undo.facts["node"]):
        world.cluster.start(undo.facts["node"])


def _resume_node(world: World, undo: Undo) -> None:
    assert isinstance(world.cluster, Killable)
    assert isinstance(world.cluster, Pausable)
    node_id = undo.facts["node"]
    # By the process and not by what the cluster believes: Ctrl-C may have come between signal and note.
    if world.cluster.is_running(node_id):
        world.cluster.resume(node_id)


def _restart_client(world: World, undo: Undo) -> None:
    client = world.clients[undo.facts["name"]]
    if undo.facts["restart"] and not client.is_running:
        client.restart()


def _resume_client(world: World, undo: Undo) -> None:
    client = world.clients[undo.facts["name"]]
    if client.is_running:
        client.resume()


def _unhinder_client(world: World, undo: Undo) -> None:
    client = world.clients[undo.facts["name"]]
    assert isinstance(client, Member)
    if client.is_running:
        client.slow_down(0)
        client.go_on()


def _reconfigure_client(world: World, undo: Undo) -> None:
    client = world.clients[undo.facts["name"]]
    assert isinstance(client, Reconfigurable)
    if client.reconfigure(undo.facts["properties"]) != undo.facts["properties"]:
        client.restart()


def _end_client(world: World, undo: Undo) -> None:
    world.clients[undo.facts["name"]].kill()


def _leftover_down(undo: Undo) -> str:
    """A node or client that was to be down. What its harness started dies with it, so nothing is started."""
    process = find(undo.facts)
    if process is None:
        return f"{undo.facts['name']} was taken down and ended with its run; nothing to undo."
    process.kill()
    return f"{undo.facts['name']} (pid {process.pid}) had outlived its run and was killed."


def _leftover_paused(undo: Undo) -> str:
    name = undo.facts["name"]
    process = find(undo.facts)
    try:
        if process is None or process.status() != psutil.STATUS_STOPPED:
            return f"{name} is not paused any more; nothing to undo."
        process.resume()
    except psutil.NoSuchProcess:
        return f"{name} ended; nothing to undo."
    return f"{name} (pid {process.pid}) was paused and goes on."


UNDO_KINDS[START_NODE] = UndoKind(start_node, _leftover_down)
UNDO_KINDS[RESUME_NODE] = UndoKind(_resume_node, _leftover_paused)
UNDO_KINDS[RESTART_CLIENT] = UndoKind(_restart_client, _leftover_down)
UNDO_KINDS[UNHINDER_CLIENT] = UndoKind(_unhinder_client, _leftover_down)
UNDO_KINDS[RECONFIGURE_CLIENT] = UndoKind(_reconfigure_client, _leftover_down)
UNDO_KINDS[END_CLIENT] = UndoKind(_end_client, _leftover_down)
UNDO_KINDS[RESUME_CLIENT] = UndoKind(_resume_client, _leftover_paused)
