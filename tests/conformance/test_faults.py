"""Every fault on a real cluster: it bites, proves it and heals; with its effect taken away it proves nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kafkaos.backends.process import ProcessCluster
from kafkaos.backends.processes import Supervisor
from kafkaos.faults import (
    CrashLoop,
    Cut,
    CutClients,
    Delay,
    Fault,
    HalfOpen,
    HealJournal,
    Isolate,
    Kill,
    KillAll,
    KillClient,
    Pause,
    PauseClient,
    PreferredElection,
    Rate,
    Reassign,
    Reset,
    Restart,
    Ring,
    RollingRestart,
    ShrinkIsr,
    Stop,
    UncleanElection,
    ViolateMinIsr,
    World,
    from_json,
    heal_pending,
    pending,
    registry,
    roles,
    to_json,
)
from kafkaos.traffic.client import ClientHandle, Surroundings
from kafkaos.traffic.handles import ProducerHandle
from kafkaos.traffic.settings import ProducerSettings

TOPIC = "orders"
TWICE = "twice"
"""A topic with two replicas: there is a broker to move to."""
CARELESS = "careless"
"""A topic with min.insync.replicas=1: a leader alone acknowledges."""
CLIENT = "sender"
HEALTHY_DEADLINE_S = 60.0
MUTED_DEADLINE_S = 1.0


@dataclass(frozen=True)
class Case:
    """A fault on a cluster, and the actions without which it does nothing."""

    fault: Fault
    muted: tuple[str, ...]
    cluster: str = "three"

    def __str__(self) -> str:
        return f"{self.fault} on {self.cluster}".replace(" ", "-")


CASES = [
    Case(Kill(roles.leader(TOPIC)), ("kill",)),
    Case(Kill(roles.follower(TOPIC)), ("kill",)),
    Case(Kill(roles.coordinator(group="billing")), ("kill",)),
    Case(Kill(roles.coordinator(transactional_id="payments")), ("kill",)),
    Case(Kill(roles.any_broker()), ("kill",)),
    Case(Kill(roles.controller()), ("kill",)),
    Case(Kill(roles.controller()), ("kill",), "three-combined"),
    Case(Stop(roles.leader(TOPIC)), ("stop",)),
    Case(Pause(roles.leader(TOPIC)), ("pause",)),
    Case(Pause(roles.broker(2), expect_fenced=False), ("pause",)),
    Case(Restart(roles.leader(TOPIC), notice_s=5.0), ("stop",)),
    Case(Restart(roles.follower(TOPIC), hard=True, notice_s=10.0), ("kill",)),
    Case(RollingRestart(notice_s=10.0), ("stop",)),
    Case(KillAll(), ("kill",)),
    Case(CrashLoop(roles.broker(2), times=2), ("kill",)),
    Case(PreferredElection(TOPIC), ("reassign", "elect_leader")),
    Case(UncleanElection(CARELESS), ("elect_leader",)),
    Case(Reassign(TWICE), ("reassign",)),
    Case(ShrinkIsr(TOPIC), ("pause",)),
    Case(ViolateMinIsr(TOPIC), ("kill",)),
    Case(Cut(roles.leader(TOPIC), roles.follower(TOPIC), direction="from"), ("set_link_rule",)),
    Case(Isolate(roles.leader(TOPIC)), ("set_link_rule",)),
    Case(Isolate(roles.follower(TOPIC), off="all"), ("set_link_rule",)),
    Case(Ring(), ("set_link_rule",)),
    Case(CutClients(roles.leader(TOPIC), direction="from"), ("set_link_rule",)),
    Case(Delay(roles.leader(TOPIC), delay_ms=100, jitter_ms=20), ("set_link_rule",)),
    Case(Rate(roles.leader(TOPIC), peers="clients", rate_kbit=20), ("set_link_rule",)),
    Case(Reset(roles.leader(TOPIC)), ("reset_links",)),
    Case(HalfOpen(roles.leader(TOPIC), peers="nodes"), ("set_link_rule",)),
    Case(KillClient(CLIENT), ("kill",)),
    Case(PauseClient(CLIENT), ("pause",)),
]


@pytest.fixture
def make_world(
    started: Callable[[str], ProcessCluster], supervisor: Supervisor, tmp_path: Path
) -> Iterator[Callable[[str], World]]:
    """A world on a shared cluster; after the test all is undone and the cluster is healthy."""
    worlds: list[World] = []

    def make(name: str) -> World:
        cluster = started(name)
        if cluster.observe([TOPIC]).partition(TOPIC, 0) is None:
            cluster.create_topic(TOPIC, config={"min.insync.replicas": "2"})
            cluster.create_topic(TWICE, replicas=(1, 2))
            cluster.create_topic(CARELESS, replicas=(1, 2, 3), config={"min.insync.replicas": "1"})
        cluster.wait_healthy(timeout_s=HEALTHY_DEADLINE_S)
        client = ProducerHandle(
            ProducerSettings(topics=(TOPIC,), client=CLIENT, config={**cluster.client_config()}, rate=100),
            Surroundings(tmp_path / "run", supervisor),
        )
        worlds.append(
            World(
                cluster=cluster,
                journal=HealJournal(tmp_path / "heal.jsonl"),
                clients={CLIENT: client},
                rng=random.Random(7),
                topics=[TOPIC],
            )
        )
        return worlds[-1]

    yield make
    for world in worlds:
        heal_pending(world)
        world.journal.close()
        for client in world.clients.values():
            client.kill()
        world.cluster.wait_healthy(timeout_s=HEALTHY_DEADLINE_S)


def test_every_registered_fault_is_in_this_suite() -> None:
    """A fault that is registered and not proven here fails the suite."""
    assert {case.fault.name for case in CASES} == set(registry)
    assert all(case.muted for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_bites_proves_it_and_heals(case: Case, make_world: Callable[[str], World]) -> None:
    """Injected, it has evidence before its deadline; healed, everything runs again and nothing is pending."""
    world = make_world(case.cluster)
    _start_clients(world)
    assert case.fault.available(world.cluster) is None
    injection = case.fault.inject(world)
    evidence = case.fault.evidence(world, injection)
    assert evidence is not None
    assert evidence.told
    case.fault.heal(world, injection)
    case.fault.heal(world, injection)
    world.cluster.wait_healthy(timeout_s=HEALTHY_DEADLINE_S)
    assert pending(world.journal.path) == []
    assert all(client.is_running for client in world.clients.values())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_muted_fault_has_no_evidence(
    case: Case, make_world: Callable[[str], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its acting part taken away a fault proves nothing, so that the run becomes unknown."""
    world = make_world(case.cluster)
    _start_clients(world)
    calls: list[str] = []
    with monkeypatch.context() as patch:
        for action in case.muted:
            if case.fault.family == "clients":
                patch.setattr(ClientHandle, action, lambda *_: calls.append("muted"))
            else:
                patch.setattr(world.cluster, action, lambda *_, **__: calls.append("muted"))
        injection = case.fault.inject(world)
        evidence = case.fault.evidence(world, injection, timeout_s=MUTED_DEADLINE_S)
    assert calls
    assert evidence is None
    case.fault.heal(world, injection)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_is_the_same_after_json(case: Case) -> None:
    """A fault written to JSON and read again is the same value."""
    assert from_json(to_json(case.fault)) == case.fault


def _start_clients(world: World) -> None:
    for client in world.clients.values():
        client.restart()
