"""What the other brokers must say before a node counts as hurt, by the role that it had."""

from __future__ import annotations

import time
from collections.abc import Callable

from kafkaos.cluster import Cluster, ClusterState
from kafkaos.errors import WaitExpired
from kafkaos.faults.roles import Controller, Coordinator, Follower, Leader, NodeTarget
from kafkaos.faults.waiting import until


def consequence(
    cluster: Cluster, target: NodeTarget, victim: int, before: ClusterState, *, timeout_s: float
) -> str | None:
    """One sentence once the cluster's state shows that it lost `victim` in its role; None at the deadline."""
    look = _look(cluster, target, victim, before)
    return until(look, timeout_s=timeout_s)


def left(deadline_s: float) -> float:
    """Seconds until a monotonic deadline, never less than none."""
    return max(deadline_s - time.monotonic(), 0.0)


def _look(
    cluster: Cluster, target: NodeTarget, victim: int, before: ClusterState
) -> Callable[[], str | None]:
    brokers = {node.id for node in cluster.nodes if node.is_broker}
    controllers = [node.id for node in cluster.nodes if node.is_controller]

    def look() -> str | None:
        now = cluster.observe()
        if isinstance(target, Controller):
            return _controller_lost(now, victim, controllers)
        if not brokers & set(now.alive) - {victim}:
            return f"node {victim} was the last broker alive: none is left that could tell more"
        if isinstance(target, Leader):
            return _leadership_lost(before, now, target, victim)
        if isinstance(target, Follower):
            state = now.partition(target.topic, target.partition)
            out = state is not None and victim not in state.isr
            return f"node {victim} left the ISR of {target.topic}-{target.partition}" if out else None
        if isinstance(target, Coordinator):
            return _coordinator_lost(cluster, target, victim)
        return f"the other brokers count node {victim} as fenced" if victim in now.fenced else None

    return look


def _controller_lost(now: ClusterState, victim: int, controllers: list[int]) -> str | None:
    if controllers == [victim]:
        return f"node {victim} was the only controller" if now.controller != victim else None
    if now.controller in (None, victim):
        return None
    return f"node {now.controller} became the active controller in place of {victim}"


def _leadership_lost(before: ClusterState, now: ClusterState, target: Leader, victim: int) -> str | None:
    was, state = (s.partition(target.topic, target.partition) for s in (before, now))
    if was is None or state is None:
        return None
    name = f"{target.topic}-{target.partition}"
    if state.leader is None and set(was.isr) <= {victim}:
        return f"{name} has no leader: node {victim} was its only replica in sync"
    if state.leader in (None, victim) or state.leader_epoch <= was.leader_epoch:
        return None
    epochs = f"{was.leader_epoch} to {state.leader_epoch}"
    return f"the leader of {name} went from {victim} to {state.leader} (epoch {epochs})"


def _coordinator_lost(cluster: Cluster, target: Coordinator, victim: int) -> str | None:
    try:
        if target.group is not None:
            now = cluster.coordinator(target.group, kind="group")
        else:
            assert target.transactional_id is not None
            now = cluster.coordinator(target.transactional_id, kind="transaction")
    except WaitExpired:
        return None
    return f"{target} is node {now} in place of {victim}" if now != victim else None
