"""Faults of a broker's disk: full (a real ENOSPC), and a log directory that fails."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from kafkaos.backends import mounts
from kafkaos.cluster import Cluster, HasLogDirs, HasLogs, HasProcesses, Killable
from kafkaos.errors import SetupFailed, WrongUse
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.journal import UNDO_KINDS, Undo, UndoKind
from kafkaos.faults.node import aim_at_node, logged_since, node_id_of
from kafkaos.faults.roles import NodeTarget
from kafkaos.faults.undo import undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World

BALLAST_FILE: Final = "kafkaos-ballast"
FREE_DISK: Final = "free-disk"
MAKE_WRITABLE: Final = "make-writable"
_CHUNK_BYTES: Final = 1 << 16
# A page of 4096 bytes that was begun takes appends although the disk is full, and an idle metadata log grows by 144
# bytes a second (measured): the first ENOSPC can come as late as 28 s.
FULL_DEADLINE_S: Final = 60.0


@dataclass(frozen=True)
class DiskFull(Fault):
    """The file system of a log directory has no byte left: appends get a real ENOSPC.

    Only for a cluster whose file says `disk_mb`: the machine's own disk is never filled. A broker that loses its
    only log directory, or the one with its metadata (0), ends; healing frees the disk and starts it again. With a
    controller as target the metadata quorum is full.
    """

    name: ClassVar = "disk-full"
    family: ClassVar = "storage"
    title: ClassVar = "a log directory's file system is full (ENOSPC)"
    target: NodeTarget
    log_dir: int = 0

    def __str__(self) -> str:
        return f"full disk of {self.target} (log directory {self.log_dir})"

    def available(self, cluster: Cluster) -> str | None:
        reason = _no_log_dirs(cluster) or mounts.unable_to_mount()
        if reason is None and cluster.spec.disk_mb is None:
            reason = f"the disks of cluster {cluster.spec.name} are the machine's own: give it disk_mb = 64"
        return reason

    def inject(self, world: World) -> Injection:
        injection = _aim(self.name, self.target, self.log_dir, FREE_DISK, world)
        with undone_on_error(world, injection.undo):
            fill(Path(injection.facts["log_dir"]) / BALLAST_FILE)
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = FULL_DEADLINE_S
    ) -> Evidence | None:
        """The broker's log has ENOSPC, and it took the directory offline or ended."""
        return _gave_up(world, injection, "No space left on device", timeout_s=timeout_s)


@dataclass(frozen=True)
class FailLogDir(Fault):
    """A log directory turns read-only, as that of a failing disk does.

    Files that are open can still be written, until the broker needs a new one: its checkpoint of high watermarks
    every 5 s. Then it takes the directory offline and goes on with the others; without another one, or if it is the
    one with the metadata (0), it ends. Healing makes it writable and starts the broker anew.
    """

    name: ClassVar = "fail-log-dir"
    family: ClassVar = "storage"
    title: ClassVar = "a log directory turns read-only and fails"
    target: NodeTarget
    log_dir: int = 1

    def __str__(self) -> str:
        return f"failed log directory {self.log_dir} of {self.target}"

    def available(self, cluster: Cluster) -> str | None:
        reason = _no_log_dirs(cluster)
        if reason is None and self.log_dir >= cluster.spec.log_dirs:
            reason = f"cluster {cluster.spec.name} has no log directory {self.log_dir}: give it log_dirs = 2"
        if reason is None and os.geteuid() == 0:  # file modes do not bind root, a read-only mount does
            reason = mounts.unable_to_mount()
        return reason

    def inject(self, world: World) -> Injection:
        injection = _aim(self.name, self.target, self.log_dir, MAKE_WRITABLE, world)
        with undone_on_error(world, injection.undo):
            mounts.make_read_only(Path(injection.facts["log_dir"]))
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The broker's log has the error, and it took the directory offline or ended."""
        return _gave_up(world, injection, "(Read-only file system)|(Permission denied)", timeout_s=timeout_s)


def fill(ballast: Path) -> None:
    """Write until the file system has no byte left."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(_CHUNK_BYTES))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def _no_log_dirs(cluster: Cluster) -> str | None:
    needed = [HasLogDirs, HasLogs, HasProcesses, Killable]
    return lacking(cluster, needed, what="get at a broker's log directories")


def _aim(fault: str, target: NodeTarget, log_dir: int, undo_kind: str, world: World) -> Injection:
    cluster = world.cluster
    assert isinstance(cluster, HasLogDirs)
    assert isinstance(cluster, HasLogs)

    def facts(node_id: int) -> dict[str, object]:
        folders = cluster.log_dirs(node_id)
        if not 0 <= log_dir < len(folders):
            raise WrongUse(f"{cluster.node(node_id).name} has no log directory {log_dir}, but {len(folders)}")
        if _offline(cluster, node_id):
            raise SetupFailed(
                f"{cluster.node(node_id).name} has a failed log directory already: heal it first"
            )
        logged_bytes = cluster.log_path(node_id).stat().st_size
        return {"log_dir": str(folders[log_dir]), "logged_bytes": logged_bytes}

    return aim_at_node(fault, target, world, undo_kind, facts=facts)


def _gave_up(world: World, injection: Injection, signs: str, *, timeout_s: float) -> Evidence | None:
    cluster, node_id = world.cluster, node_id_of(injection)
    assert isinstance(cluster, HasLogDirs)
    assert isinstance(cluster, Killable)
    log_dir = injection.facts["log_dir"]

    def look() -> Evidence | None:
        said = logged_since(world, injection).splitlines()
        found = [line for line in said if any(sign in line for sign in signs.split("|"))]
        if not found:
            return None
        if not cluster.is_running(node_id):
            then = "it ended"
        elif Path(log_dir) in _offline(cluster, node_id):
            then = f"it took {log_dir} offline"
        else:
            return None
        return Evidence(
            told=f"{injection.told} logged `{found[0].strip()[:160]}` and {then}", facts=dict(injection.facts)
        )

    return until(look, timeout_s=timeout_s)


def _offline(cluster: HasLogDirs, node_id: int) -> list[Path]:
    try:
        return list(cluster.offline_log_dirs(node_id))
    except OSError:  # it is ending, or a controller, which tells nobody
        return []


def _start_anew(world: World, undo: Undo) -> None:
    """A log directory that was offline stays so until the broker starts again."""
    node_id = undo.facts["node"]
    assert isinstance(world.cluster, Killable)
    world.cluster.kill(node_id)
    world.cluster.start(node_id)


def _free_disk(world: World, undo: Undo) -> None:
    (Path(undo.facts["log_dir"]) / BALLAST_FILE).unlink(missing_ok=True)
    _start_anew(world, undo)


def _make_writable(world: World, undo: Undo) -> None:
    mounts.make_writable(Path(undo.facts["log_dir"]))
    _start_anew(world, undo)


def _leftover_full(undo: Undo) -> str:
    ballast = Path(undo.facts["log_dir"]) / BALLAST_FILE
    if not ballast.exists():
        return f"the full disk of {undo.facts['name']} went with its cluster; nothing to undo."
    ballast.unlink()
    return f"{ballast} was removed."


def _leftover_read_only(undo: Undo) -> str:
    folder = Path(undo.facts["log_dir"])
    if not mounts.make_writable(folder):
        return f"the read-only log directory of {undo.facts['name']} went with its cluster; nothing to undo."
    return f"{folder} was read-only and is writable again."


UNDO_KINDS[FREE_DISK] = UndoKind(_free_disk, _leftover_full)
UNDO_KINDS[MAKE_WRITABLE] = UndoKind(_make_writable, _leftover_read_only)
