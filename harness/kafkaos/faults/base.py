"""What a fault is: available here?, inject, evidence that it bit, heal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol

from kafkaos.cluster import Cluster, ClusterState
from kafkaos.faults.journal import Undo
from kafkaos.faults.undo import undo_all
from kafkaos.faults.world import World

EVIDENCE_DEADLINE_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Injection:
    """One fault that was injected: whom it hit, what was so before, and how it is undone."""

    fault: str
    target: int | str
    """Node id or client name; of several the first."""
    told: str
    """The target in words, e.g. `the leader of orders-0 (broker-2)`."""
    before: ClusterState
    undo: tuple[Undo, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    """What the fault noted for its evidence: pids, node ids."""
    began_ns: int = field(default_factory=time.monotonic_ns)
    """Monotonic, just before the fault acts."""

    def __str__(self) -> str:
        return self.told

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The proof that a fault bit: one sentence for people and the observed facts."""

    told: str
    facts: dict[str, Any] = field(default_factory=dict)
    seen_ns: int = field(default_factory=time.monotonic_ns)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Fault(Protocol):
    """A frozen dataclass that derives from this; `str()` of it tells it with its target."""

    name: ClassVar[str]
    """Its word in plans and lists, e.g. `violate-min-isr`."""
    family: ClassVar[str]
    """process, leadership, replication, network, storage, time, clients, tls, limits or upgrade."""
    title: ClassVar[str]
    """What it does in a few words, without a target."""

    def available(self, cluster: Cluster) -> str | None:
        """None where this cluster can suffer it, else the reason in words."""
        ...

    def inject(self, world: World) -> Injection:
        """Resolve the target, note the state before, write the undo to the journal, and only then act."""
        ...

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """The proof that it bit as soon as it is seen; None if it is not within `timeout_s` seconds."""
        ...

    def heal(self, world: World, injection: Injection) -> None:
        """Undo it; a second time does nothing. What was down runs again, but is not awaited to be in sync."""
        undo_all(world, injection.undo)


def told_target(fault: Fault) -> str:
    """Whom a fault aims at, in words: a role, a client, a topic or partition; empty where it is the whole cluster."""
    target, client, topic, partition = (
        getattr(fault, name, None) for name in ("target", "client", "topic", "partition")
    )
    if target is not None:
        return str(target)
    if client is not None:
        return f"client {client}"
    return "" if topic is None else topic if partition is None else f"{topic}-{partition}"


def lacking(cluster: Cluster, capabilities: Sequence[type], *, what: str) -> str | None:
    """The reason why a cluster that lacks a capability cannot suffer a fault; None if it has them all."""
    missing = [kind.__name__ for kind in capabilities if not isinstance(cluster, kind)]
    return f"this backend cannot {what} (it is not {', '.join(missing)})" if missing else None
