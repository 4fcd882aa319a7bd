"""Faults of versions: a rolling upgrade under load, and nodes of two versions side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from kafkaos.cluster import Cluster, HasProcesses, Killable, Node, Stoppable, Upgradable
from kafkaos.errors import SetupFailed
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection, lacking
from kafkaos.faults.journal import UNDO_KINDS, Undo, UndoKind
from kafkaos.faults.node import aim_at_node, node_id_of
from kafkaos.faults.roles import NodeTarget
from kafkaos.faults.undo import START_NODE, note_node, undone_on_error
from kafkaos.faults.waiting import until
from kafkaos.faults.world import World
from kafkaos.spec import DEFAULT_KAFKA_VERSION

FEATURE: Final = "metadata.version"
RESTORE_VERSION: Final = "restore-version"
HEALTHY_DEADLINE_S: Final = 90.0


@dataclass(frozen=True)
class RollingUpgrade(Fault):
    """Each node in turn is stopped and started with another version, and waited for; at the end it is finalized.

    Finalizing raises `metadata.version`, after which there is no way back: healing leaves the new version, and
    only starts a node that is down.
    """

    name: ClassVar = "rolling-upgrade"
    family: ClassVar = "upgrade"
    title: ClassVar = "every node gets a newer Kafka, one after the other, under load"
    version: str = DEFAULT_KAFKA_VERSION
    grace_s: float = 30.0

    def __str__(self) -> str:
        return f"rolling upgrade to Kafka {self.version}"

    def available(self, cluster: Cluster) -> str | None:
        return _no_upgrade(cluster, self.version)

    def inject(self, world: World) -> Injection:
        cluster = world.cluster
        assert isinstance(cluster, Upgradable)
        nodes = sorted(cluster.nodes, key=lambda node: node.is_broker)  # controllers first
        broker = next(node for node in nodes if node.is_broker)
        level, _ = cluster.metadata_versions(broker.id)
        injection = Injection(
            fault=self.name,
            target=broker.id,
            told=f"{len(nodes)} nodes of Kafka {cluster.version(broker.id)}",
            before=cluster.observe(),
            undo=tuple(note_node(world, START_NODE, node.id) for node in nodes),
            facts={"metadata_version": level},
        )
        with undone_on_error(world, injection.undo):
            for node in nodes:
                _switch(world, node, self.version, self.grace_s)
                cluster.wait_healthy(timeout_s=HEALTHY_DEADLINE_S)
            cluster.finalize_feature(FEATURE, cluster.metadata_versions(broker.id)[1])
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """Every broker knows, and has in force, a higher metadata.version than before."""
        cluster, level = world.cluster, injection.facts["metadata_version"]
        assert isinstance(cluster, Upgradable)

        def raised() -> Evidence | None:
            try:
                levels = {
                    node.name: cluster.metadata_versions(node.id) for node in cluster.nodes if node.is_broker
                }
            except OSError:
                return None
            if any(now <= level or now != known for now, known in levels.values()):
                return None
            now = next(iter(levels.values()))[0]
            told = f"{injection.told} run Kafka {self.version}; {FEATURE} went from level {level} to {now}"
            return Evidence(told=told, facts={**injection.facts, "levels": levels})

        return until(raised, timeout_s=timeout_s)


@dataclass(frozen=True)
class MixedVersions(Fault):
    """One node runs a newer Kafka than the others, as half-way through an upgrade. Healing takes it back."""

    name: ClassVar = "mixed-versions"
    family: ClassVar = "upgrade"
    title: ClassVar = "one node runs a newer Kafka than the others"
    target: NodeTarget
    version: str = DEFAULT_KAFKA_VERSION
    grace_s: float = 30.0

    def __str__(self) -> str:
        return f"Kafka {self.version} on {self.target} alone"

    def available(self, cluster: Cluster) -> str | None:
        return _no_upgrade(cluster, self.version)

    def inject(self, world: World) -> Injection:
        cluster = world.cluster
        assert isinstance(cluster, Upgradable)
        upgradable = cluster

        def facts(node_id: int) -> dict[str, Any]:
            level = upgradable.metadata_versions(node_id)[1]
            return {"version": upgradable.version(node_id), "knows": level, "grace_s": self.grace_s}

        injection = aim_at_node(self.name, self.target, world, RESTORE_VERSION, facts=facts)
        with undone_on_error(world, injection.undo):
            _switch(world, cluster.node(node_id_of(injection)), self.version, self.grace_s)
            cluster.wait_healthy(timeout_s=HEALTHY_DEADLINE_S)
        return injection

    def evidence(
        self, world: World, injection: Injection, *, timeout_s: float = EVIDENCE_DEADLINE_S
    ) -> Evidence | None:
        """It knows a higher metadata.version than before, while the cluster's is the old one."""
        cluster, node_id = world.cluster, node_id_of(injection)
        assert isinstance(cluster, Upgradable)

        def newer() -> Evidence | None:
            try:
                now, known = cluster.metadata_versions(node_id)
            except (OSError, KeyError):  # it is starting
                return None
            if known <= injection.facts["knows"] or now >= known:
                return None
            told = f"{injection.told} knows {FEATURE} {known}, in force is {now}"
            return Evidence(told=told, facts=dict(injection.facts))

        return until(newer, timeout_s=timeout_s)


def _no_upgrade(cluster: Cluster, version: str) -> str | None:
    needed = [Upgradable, Killable, HasProcesses, Stoppable]
    reason = lacking(cluster, needed, what="run a node with another version")
    if reason is None and _numbers(cluster.spec.kafka) >= _numbers(version):
        reason = (
            f"cluster {cluster.spec.name} has Kafka {cluster.spec.kafka}, not an older one than {version}"
        )
    return reason


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("-", maxsplit=1)[0].split("."))


def _switch(world: World, node: Node, version: str, grace_s: float) -> None:
    cluster = world.cluster
    assert isinstance(cluster, Upgradable)
    assert isinstance(cluster, Killable)
    assert isinstance(cluster, Stoppable)
    cluster.set_version(node.id, version)
    cluster.stop(node.id, grace_s=grace_s)
    if cluster.is_running(node.id):
        raise SetupFailed(f"{node.name} did not stop within {grace_s:g} s")
    cluster.start(node.id)


def _restore(world: World, undo: Undo) -> None:
    node = world.cluster.node(undo.facts["node"])
    _switch(world, node, undo.facts["version"], undo.facts["grace_s"])


def _leftover(undo: Undo) -> str:
    return f"the version of {undo.facts['name']} ended with its run; nothing to undo."


UNDO_KINDS[RESTORE_VERSION] = UndoKind(_restore, _leftover)
