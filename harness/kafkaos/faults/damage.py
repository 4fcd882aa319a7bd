"""The tail of a partition's log on one broker, truncated or with a bit flipped while the broker is down."""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from kafkaos.cluster import Cluster, HasFiles, HasLogs, HasProcesses, Killable
from kafkaos.errors import SetupFailed, WrongUse
from kafkaos.faults.base import Evidence, Fault, Injection, lacking
from kafkaos.faults.node import aim_at_node, logged_since, node_id_of
from kafkaos.faults.roles import NodeTarget
from kafkaos.faults.undo import START_NODE, undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World

RECOVERED_DEADLINE_S: Final = 60.0
"""For the evidence: a whole start of a broker lies before it."""


@dataclass(frozen=True)
class _DamagedTail(Fault):
    """kill -9, then the end of a partition's newest segment is damaged; then the broker starts again."""

    family: ClassVar = "storage"
    target: NodeTarget
    topic: str
    partition: int = 0

    def available(self, cluster: Cluster) -> str | None:
        needed = [HasFiles, HasLogs, HasProcesses, Killable]
        return lacking(cluster, needed, what="get at the files of a broker")

    @abstractmethod
    def damage(self, segment: Path) -> None: ...

    def inject(self, world: World) -> Injection:
        cluster = world.cluster
        assert isinstance(cluster, HasFiles)
        assert isinstance(cluster, HasLogs)
        assert isinstance(cluster, Killable)

        def facts(node_id: int) -> dict[str, Any]:
            return {
                "segment": str(self._newest_segment(cluster, node_id)),
                "logged_bytes": cluster.log_path(node_id).stat().st_size,
                "partition": f"{self.topic}-{self.partition}",
            }

        injection = aim_at_node(self.name, self.target, world, START_NODE, facts=facts)
        node_id = node_id_of(injection)
        with undone_on_error(world, injection.undo):
            cluster.kill(node_id)
            segment = self._newest_segment(cluster, node_id)  # it may have rolled meanwhile
            if segment.stat().st_size < 100:
                raise SetupFailed(f"{segment} has no record: send some before this fault")
            self.damage(segment)
            cluster.start(node_id)
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = RECOVERED_DEADLINE_S
    ) -> Evidence | None:
        """The broker tells that it found the corruption and where it cut."""
        sign = re.compile(
            rf"partition={re.escape(injection.facts['partition'])},.*"
            r"(Corruption found in segment \d+, truncating to offset \d+)"
        )

        def look() -> Evidence | None:
            found = sign.search(logged_since(world, injection))
            if found is None:
                return None
            return Evidence(told=f"{injection.told} logged `{found[1]}`", facts=dict(injection.facts))

        return until(look, timeout_s=timeout_s)

    def _newest_segment(self, cluster: HasFiles, node_id: int) -> Path:
        segments = cluster.partition_folder(node_id, self.topic, self.partition).glob("*.log")
        newest = max(segments, default=None)
        if newest is None:
            raise SetupFailed(
                f"node {node_id} has no replica of {self.topic}-{self.partition}: choose one that has"
            )
        return newest


@dataclass(frozen=True)
class TruncateTail(_DamagedTail):
    """kill -9, then the last bytes of the newest segment are gone, as after a power cut; then it starts again.

    The broker finds the torn batch when it recovers the log, cuts it off, and copies it anew from the leader. Of a
    topic with one replica these records are lost.
    """

    name: ClassVar = "truncate-tail"
    title: ClassVar = "the last bytes of a segment are lost while the broker is down"
    lost_bytes: int = 10

    def __post_init__(self) -> None:
        if self.lost_bytes < 1:
            raise WrongUse(f"lost_bytes={self.lost_bytes} loses nothing: give 1 or more")

    def __str__(self) -> str:
        return f"truncated tail of {self.topic}-{self.partition} on {self.target}"

    def damage(self, segment: Path) -> None:
        truncate(segment, self.lost_bytes)


@dataclass(frozen=True)
class FlipBit(_DamagedTail):
    """kill -9, then one bit in the last batch of the newest segment is another; then it starts again.

    The batch's checksum no longer fits: the broker cuts it off when it recovers the log, and copies it anew.
    """

    name: ClassVar = "flip-bit"
    title: ClassVar = "a bit of a segment's last batch flips while the broker is down"
    before_end_bytes: int = 2

    def __post_init__(self) -> None:
        if self.before_end_bytes < 1:
            raise WrongUse(f"before_end_bytes={self.before_end_bytes} is past the end: give 1 or more")

    def __str__(self) -> str:
        return f"flipped bit in the tail of {self.topic}-{self.partition} on {self.target}"

    def damage(self, segment: Path) -> None:
        flip(segment, self.before_end_bytes)


def truncate(segment: Path, lost_bytes: int) -> None:
    """Take the last bytes away."""
    os.truncate(segment, segment.stat().st_size - lost_bytes)


def flip(segment: Path, before_end_bytes: int) -> None:
    """Flip one bit of the byte that lies so far before the end."""
    with segment.open("r+b") as file:
        place = file.seek(-before_end_bytes, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 0x10]))
