"""A slow disk: each write of a broker to a file takes longer.

By a small library (slow_disk.c) that is built once, preloaded into the broker and steered through a mapped file. The
kernel's own ways of slowing a disk (cgroups, dm-delay) do not slow a write into the page cache, and Kafka hardly
does any other.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from kafkaos.backends.places import cache_folder
from kafkaos.cluster import Cluster, HasEnvironment, HasProcesses, Killable, Stoppable
from kafkaos.errors import SetupFailed, WrongUse
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.journal import UNDO_KINDS, Undo, UndoKind
from kafkaos.faults.node import aim_at_node, node_id_of, restart_with
from kafkaos.faults.roles import NodeTarget
from kafkaos.faults.undo import start_without, undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World

SOURCE: Final = Path(__file__).with_name("slow_disk.c")
SPEED_UP_DISK: Final = "speed-up-disk"
BUILD_DEADLINE_S: Final = 60.0
IN_SYNC_DEADLINE_S: Final = 60.0
_WORDS: Final = struct.Struct("<QQ")  # microseconds a write, writes delayed so far


@dataclass(frozen=True)
class SlowDisk(Fault):
    """Each write of a broker to a file takes so much longer; healing makes the disk fast again.

    The broker is restarted once before, to load the library.
    """

    name: ClassVar = "slow-disk"
    family: ClassVar = "storage"
    title: ClassVar = "every write of a broker to its disk takes longer"
    target: NodeTarget
    per_write_ms: float = 20.0
    writes: int = 10
    """So many delayed writes are proof enough."""
    grace_s: float = 30.0

    def __post_init__(self) -> None:
        if self.per_write_ms <= 0 or self.writes < 1:
            raise WrongUse("a slow disk needs per_write_ms and writes above 0")

    def __str__(self) -> str:
        return f"disk of {self.target} takes {self.per_write_ms:g} ms a write"

    def available(self, cluster: Cluster) -> str | None:
        needed = [HasEnvironment, HasProcesses, Killable, Stoppable]
        reason = lacking(cluster, needed, what="start a node with a library")
        if reason is None and shutil.which("cc") is None:
            reason = "there is no C compiler to build the library: install one (Debian, Ubuntu: apt-get install gcc)"
        return reason

    def inject(self, world: World) -> Injection:
        built = library()

        def facts(node_id: int) -> dict[str, Any]:
            words = world.journal.path.absolute().with_name(f"disk-of-node-{node_id}")
            words.write_bytes(_WORDS.pack(0, 0))
            return {"words": str(words)}

        injection = aim_at_node(self.name, self.target, world, SPEED_UP_DISK, facts=facts)
        node_id, words = node_id_of(injection), injection.facts["words"]
        variables = {"LD_PRELOAD": str(built), "KAFKAOS_SLOW_DISK": words}
        with undone_on_error(world, injection.undo):
            restart_with(world, node_id, variables, grace_s=self.grace_s)
            world.cluster.wait_healthy(timeout_s=IN_SYNC_DEADLINE_S)
            set_delay(Path(words), self.per_write_ms)
        return injection

    def evidence(
        self,
        world: World,  # noqa: ARG002 - the library counts
        injection: Injection,
        *,
        timeout_s: float = EVIDENCE_DEADLINE_S,
    ) -> Evidence | None:
        """The library in the broker has delayed so many writes."""
        words = Path(injection.facts["words"])

        def delayed() -> int | None:
            count = int(_WORDS.unpack(words.read_bytes())[1])
            return count if count >= self.writes else None

        found = until(delayed, timeout_s=timeout_s)
        if found is None:
            return None
        told = f"{found} writes of {injection.told} took {self.per_write_ms:g} ms longer each"
        return Evidence(told=told, facts={**injection.facts, "delayed": found})


def library() -> Path:
    """The library, built on first use into the user's cache; SetupFailed with the compiler's words."""
    source = SOURCE.read_bytes()
    built = cache_folder() / f"slow-disk-{hashlib.sha256(source).hexdigest()[:16]}.so"
    if built.exists():
        return built
    pending = built.with_suffix(f".{os.getpid()}")
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(pending), str(SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_DEADLINE_S, check=False)
    if done.returncode != 0:
        raise SetupFailed(f"the library for a slow disk could not be built: {done.stderr.strip()[:300]}")
    pending.replace(built)
    return built


def set_delay(words: Path, per_write_ms: float) -> None:
    """Have each write take so much longer from now on; 0 ends it."""
    with words.open("r+b") as file, mmap.mmap(file.fileno(), _WORDS.size) as page:
        struct.pack_into("<Q", page, 0, int(per_write_ms * 1000))


def _speed_up(world: World, undo: Undo) -> None:
    set_delay(Path(undo.facts["words"]), 0.0)
    start_without(world, undo)


def _leftover(undo: Undo) -> str:
    Path(undo.facts["words"]).unlink(missing_ok=True)
    return f"the slow disk of {undo.facts['name']} was its process's own, which ended with its run."


UNDO_KINDS[SPEED_UP_DISK] = UndoKind(_speed_up, _leftover)
