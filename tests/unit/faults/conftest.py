# ruff: noqa: ARG002, ARG005 - the paper cluster has the signatures of a real one
"""A cluster that exists on paper only: what its brokers would say follows from who runs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from kafkaos.cluster import ClusterState, Node, PartitionState
from kafkaos.errors import WrongUse
from kafkaos.faults import HealJournal, World


class PaperCluster:
    """Three brokers and a controller; partition orders-0 has broker 1 as leader and all in its ISR."""

    def __init__(self) -> None:
        self.nodes: Sequence[Node] = [
            *(Node(i, f"broker-{i}", "broker", f"127.0.0.1:{i}") for i in (1, 2, 3)),
            Node(101, "controller-101", "controller", ""),
        ]
        self.down: dict[int, int] = {}
        self.pids = {node.id: 4_000_000_000 + node.id for node in self.nodes}
        self.state = self.made(leader=1, epoch=4, isr=(1, 2, 3))
        self.on_kill: Callable[[int], None] = lambda node_id: None
        self.log: list[str] = []

    def made(
        self, *, leader: int | None, epoch: int, isr: tuple[int, ...], fenced: tuple[int, ...] = ()
    ) -> ClusterState:
        alive = tuple(node.id for node in self.nodes if node.id not in self.down)
        part = PartitionState("orders", 0, leader, epoch, (1, 2, 3), isr)
        return ClusterState((part,), controller=101, alive=alive, answered=alive[:-1], fenced=fenced)

    def node(self, node_id: int) -> Node:
        for node in self.nodes:
            if node.id == node_id:
                return node
        raise WrongUse(f"no node {node_id}")

    def observe(self, topics: Sequence[str] | None = None) -> ClusterState:
        return self.state

    def topic_config(self, name: str) -> Mapping[str, str]:
        return {"min.insync.replicas": "2"}

    def coordinator(self, key: str, *, kind: str = "group") -> int:
        return 2

    def kill(self, node_id: int) -> None:
        self.log.append(f"kill {node_id}")
        self.down[node_id] = -9
        self.on_kill(node_id)

    def start(self, node_id: int) -> None:
        self.log.append(f"start {node_id}")
        self.down.pop(node_id, None)
        self.pids[node_id] += 1000

    def stop(self, node_id: int, *, grace_s: float) -> bool:
        self.down[node_id] = 143
        return True

    def is_running(self, node_id: int) -> bool:
        return node_id not in self.down

    def pid(self, node_id: int) -> int:
        return self.pids[node_id]

    def exit_status(self, node_id: int) -> int | None:
        return self.down.get(node_id)


@pytest.fixture
def paper() -> PaperCluster:
    return PaperCluster()


@pytest.fixture
def world(paper: PaperCluster, tmp_path: Path) -> Iterator[World]:
    cluster: Any = paper
    world = World(cluster=cluster, journal=HealJournal(tmp_path / "heal.jsonl"), rng=random.Random(7))
    yield world
    world.journal.close()
