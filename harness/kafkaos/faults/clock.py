"""Faults of time: one broker's wall clock jumps, or is wrong all along. By the library libfaketime.

The library answers the process's questions for the time; the clock that never falls (CLOCK_MONOTONIC), by which
Kafka measures time-outs, stays right, as it does when an operator or NTP sets a machine's clock.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import psutil

from kafkaos.cluster import Cluster, HasEnvironment, HasProcesses, Killable, Stoppable, TellsTime
from kafkaos.errors import KafkaosError, WrongUse
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.journal import UNDO_KINDS, Undo, UndoKind
from kafkaos.faults.node import aim_at_node, node_id_of, restart_with
from kafkaos.faults.roles import NodeTarget
from kafkaos.faults.undo import undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World

LIBRARY_VARIABLE: Final = "KAFKAOS_LIBFAKETIME"
SET_CLOCK: Final = "set-clock"
GRACE_S: Final = 30.0
IN_SYNC_DEADLINE_S: Final = 60.0
SLACK_S: Final = 30.0
"""What the record's way to the broker and back may take; a jump is larger than that."""
_STAMP_SLACK_S: Final = 1.0
"""A file's time may be that of the kernel's last tick."""
SHARED_FOLDER: Final = Path("/dev/shm")
_SHARED: Final = re.compile(r"(?:faketime_shm|sem\.faketime_sem)_(\d+)")
"""What the library shares between processes: it takes that away at an orderly exit only."""
_PLACES: Final = (
    "usr/lib/*/faketime/libfaketimeMT.so.1",
    "usr/lib*/faketime/libfaketimeMT.so.1",
    "usr/local/lib/faketime/libfaketimeMT.so.1",
)


@dataclass(frozen=True)
class _WrongClock(Fault):
    """A broker whose wall clock is off."""

    family: ClassVar = "time"
    target: NodeTarget
    by_s: float

    def __post_init__(self) -> None:
        if abs(self.by_s) <= 2 * SLACK_S:
            raise WrongUse(
                f"by_s={self.by_s:g} cannot be told from a slow answer: give more than {2 * SLACK_S:g} s"
            )

    def available(self, cluster: Cluster) -> str | None:
        needed = [HasEnvironment, TellsTime, HasProcesses, Killable, Stoppable]
        reason = lacking(cluster, needed, what="give a broker another clock")
        if reason is None and library() is None:
            reason = (
                "the library libfaketime is not here: install it (Debian, Ubuntu: apt-get install faketime), "
                f"or name it by {LIBRARY_VARIABLE}"
            )
        return reason

    def aim(self, world: World) -> Injection:
        """Choose the broker and the file that tells its clock. WrongUse for a controller."""

        def facts(node_id: int) -> dict[str, Any]:
            if not world.cluster.node(node_id).is_broker:
                raise WrongUse("the time of a controller is seen by no client: choose a broker")
            offset_file = world.journal.path.absolute().with_name(f"clock-of-node-{node_id}")
            return {"offset_file": str(offset_file), "since_s": time.time()}

        return aim_at_node(self.name, self.target, world, SET_CLOCK, facts=facts)

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """A record that the broker appends bears a time that is off by as much."""
        cluster, node_id = world.cluster, node_id_of(injection)
        assert isinstance(cluster, TellsTime)

        def look() -> Evidence | None:
            try:
                off_s = cluster.broker_time_ms(node_id) / 1000 - time.time()
            except KafkaosError:  # it is starting
                return None
            if abs(off_s - self.by_s) > SLACK_S:
                return None
            told = f"{injection.told} stamped a record {off_s:+.0f} s off the harness's clock"
            return Evidence(told=told, facts={**injection.facts, "off_s": off_s})

        return until(look, timeout_s=timeout_s)


@dataclass(frozen=True)
class ClockJump(_WrongClock):
    """A broker's clock jumps by `by_s` seconds (back if negative) while it runs; a restart sets it right.

    The broker is restarted once before too, to load the library.
    """

    name: ClassVar = "clock-jump"
    title: ClassVar = "a broker's wall clock jumps; a restart sets it right"
    by_s: float = 3600.0

    def __str__(self) -> str:
        return f"clock of {self.target} jumps by {self.by_s:+g} s"

    def inject(self, world: World) -> Injection:
        injection = self.aim(world)
        node_id, offset_file = node_id_of(injection), Path(injection.facts["offset_file"])
        with undone_on_error(world, injection.undo):
            set_offset(offset_file, 0.0)
            restart_with(world, node_id, _by(offset_file), grace_s=GRACE_S)
            world.cluster.wait_healthy(timeout_s=IN_SYNC_DEADLINE_S)
            set_offset(offset_file, self.by_s)
        return injection


@dataclass(frozen=True)
class ClockSkew(_WrongClock):
    """A broker starts with a clock that is off by `by_s` seconds; healing sets it right."""

    name: ClassVar = "clock-skew"
    title: ClassVar = "a broker's wall clock is wrong from its start on"
    by_s: float = -3600.0

    def __str__(self) -> str:
        return f"clock of {self.target} off by {self.by_s:+g} s"

    def inject(self, world: World) -> Injection:
        injection = self.aim(world)
        node_id, offset_file = node_id_of(injection), Path(injection.facts["offset_file"])
        with undone_on_error(world, injection.undo):
            set_offset(offset_file, self.by_s)
            restart_with(world, node_id, _by(offset_file), grace_s=GRACE_S)
        return injection


def library() -> Path | None:
    """The library for processes with many threads: of `KAFKAOS_LIBFAKETIME`, or where packages put it."""
    given = os.environ.get(LIBRARY_VARIABLE)
    found = [given] if given else [path for place in _PLACES for path in sorted(Path("/").glob(place))]
    return next((Path(path) for path in found if Path(path).is_file()), None)


def set_offset(offset_file: Path, offset_s: float) -> None:
    """Have the processes that read this file take the time for so many seconds more or less than it is."""
    pending = offset_file.with_suffix(".new")
    pending.write_text(f"{offset_s:+.3f}\n")
    pending.replace(offset_file)


def forget_shared(since_s: float) -> None:
    """Remove what the library shared since then (s since the epoch) for processes that are gone."""
    for path in SHARED_FOLDER.glob("*faketime_s*_*"):
        match = _SHARED.fullmatch(path.name)
        if match is None or psutil.pid_exists(int(match[1])):
            continue
        with contextlib.suppress(FileNotFoundError):  # another run's healing was quicker
            state = path.stat()
            if state.st_uid == os.geteuid() and state.st_mtime >= since_s - _STAMP_SLACK_S:
                path.unlink()


def _by(offset_file: Path) -> dict[str, str]:
    return {
        "LD_PRELOAD": str(library()),
        "FAKETIME_TIMESTAMP_FILE": str(offset_file),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        # Left to guess by itself, the library locks at each look at the clock: a JVM then starts six times slower.
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        "DONT_FAKE_MONOTONIC": "1",
    }


def _set_right(world: World, undo: Undo) -> None:
    """The node's next process has the right time, and nothing of the wrong one.

    A clock that falls under a controller is no way back: what lingers in its metadata log then (25 ms of each append)
    waits until the clock is where it was, and with it every topic, election and heartbeat (seen: Kafka 4.3.1).
    """
    restart_with(world, undo.facts["node"], {}, grace_s=GRACE_S)
    forget_shared(undo.facts["since_s"])


def _leftover(undo: Undo) -> str:
    Path(undo.facts["offset_file"]).unlink(missing_ok=True)
    forget_shared(undo.facts["since_s"])
    return f"the clock of {undo.facts['name']} was its process's own, which ended with its run."


UNDO_KINDS[SET_CLOCK] = UndoKind(_set_right, _leftover)
