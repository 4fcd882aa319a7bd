"""Faults of the cluster's own limits: a quota, and records that are too large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from kafkaos.cluster import (
    Administered,
    Cluster,
    Probed,
)
from kafkaos.errors import WrongUse
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.undo import undone_on_error
from kafkaos.faults.undo_admin import ALTER_QUOTA, ALTER_TOPIC
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World

PROBE_BYTES: Final = 100


@dataclass(frozen=True)
class Quota(Fault):
    """A client id may send, or fetch, only so many bytes a second; brokers make it wait."""

    name: ClassVar = "quota"
    family: ClassVar = "limits"
    title: ClassVar = "a client id may send or fetch only so many bytes a second"
    client: str
    topic: str
    """At the leader of its partition a record of the same client id is offered, for the evidence."""
    produce_bytes_per_s: float | None = None
    fetch_bytes_per_s: float | None = None
    partition: int = 0

    def __post_init__(self) -> None:
        if not self._limits():
            raise WrongUse("a quota limits something: give produce_bytes_per_s or fetch_bytes_per_s")

    def __str__(self) -> str:
        told = ", ".join(f"{key} {value:g}" for key, value in self._limits().items())
        return f"quota of client id {self.client} ({told})"

    def available(self, cluster: Cluster) -> str | None:
        return lacking(cluster, [Administered, Probed], what="set quotas")

    def inject(self, world: World) -> Injection:
        assert isinstance(world.cluster, Administered)
        before = world.cluster.observe()
        limits = self._limits()
        undo = world.journal.record(
            ALTER_QUOTA,
            client_id=self.client,
            limits=dict.fromkeys(limits),
            told=f"the quota of client id {self.client}",
        )
        with undone_on_error(world, [undo]):
            world.cluster.alter_quota(self.client, limits)
        told = f"client id {self.client}"
        return Injection(
            fault=self.name,
            target=self.client,
            told=told,
            before=before,
            undo=(undo,),
            facts={"limits": limits},
        )

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """A broker tells a client of this id to wait. Only one that wants more than its quota is told so."""
        cluster = world.cluster
        assert isinstance(cluster, Probed)

        def throttled() -> int | None:
            offered = cluster.offer(self.topic, self.partition, client_id=self.client, size_bytes=PROBE_BYTES)
            return (offered is not None and offered.throttled_ms) or None

        waited_ms = until(throttled, timeout_s=timeout_s)
        if waited_ms is None:
            return None
        told = f"{injection.told} was told to wait {waited_ms} ms"
        return Evidence(told=told, facts={**injection.facts, "throttled_ms": waited_ms})

    def _limits(self) -> dict[str, float | None]:
        given = {
            "producer_byte_rate": self.produce_bytes_per_s,
            "consumer_byte_rate": self.fetch_bytes_per_s,
        }
        return {key: value for key, value in given.items() if value is not None}


@dataclass(frozen=True)
class RecordTooLarge(Fault):
    """A topic takes only batches of at most so many bytes: larger ones are refused, for sure not appended."""

    name: ClassVar = "record-too-large"
    family: ClassVar = "limits"
    title: ClassVar = "a topic refuses records that it took before (max.message.bytes)"
    topic: str
    max_bytes: int = 100

    def __str__(self) -> str:
        return f"{self.topic} takes at most {self.max_bytes} bytes"

    def available(self, cluster: Cluster) -> str | None:
        return lacking(cluster, [Administered, Probed], what="alter topics")

    def inject(self, world: World) -> Injection:
        assert isinstance(world.cluster, Administered)
        before = world.cluster.observe()
        was = world.cluster.topic_config(self.topic)["max.message.bytes"]
        undo = world.journal.record(
            ALTER_TOPIC,
            topic=self.topic,
            settings={"max.message.bytes": was},
            told=f"max.message.bytes of {self.topic}",
        )
        with undone_on_error(world, [undo]):
            world.cluster.alter_topic(self.topic, {"max.message.bytes": str(self.max_bytes)})
        return Injection(
            fault=self.name, target=self.topic, told=f"topic {self.topic}", before=before, undo=(undo,)
        )

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """A record of that size is refused as too large."""
        cluster = world.cluster
        assert isinstance(cluster, Probed)

        def refused() -> bool | None:
            offered = cluster.offer(self.topic, 0, client_id="kafkaos-probe", size_bytes=self.max_bytes)
            return (offered is not None and offered.error == "MSG_SIZE_TOO_LARGE") or None

        if not until(refused, timeout_s=timeout_s):
            return None
        told = (
            f"{injection.told} refused a record of {self.max_bytes} bytes and its batch (MSG_SIZE_TOO_LARGE)"
        )
        return Evidence(told=told, facts=dict(injection.facts))
