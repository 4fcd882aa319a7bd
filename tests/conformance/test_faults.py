"""Every fault on a real cluster: it bites, proves it and heals; with its effect taken away it proves nothing."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from kafkaos.backends.mounts import unable_to_mount
from kafkaos.backends.process import ProcessCluster
from kafkaos.backends.processes import Supervisor
from kafkaos.backends.ready import wait_until
from kafkaos.faults import (
    ClockJump,
    ClockSkew,
    CrashLoop,
    Cut,
    CutClients,
    Delay,
    DiskFull,
    ExceedPollInterval,
    ExpiredCertificate,
    FailLogDir,
    Fault,
    FenceStaticMember,
    FlipBit,
    HalfOpen,
    HealJournal,
    Isolate,
    Kill,
    KillAll,
    KillBeforeCommit,
    KillClient,
    KillWithFullBuffers,
    MemoryPressure,
    MissingClientCertificate,
    MixedVersions,
    Pause,
    PauseClient,
    PreferredElection,
    Quota,
    Rate,
    Reassign,
    RebalanceStorm,
    RecordTooLarge,
    Reset,
    Restart,
    RevokedTrust,
    Ring,
    RollingRestart,
    RollingUpgrade,
    RotateCertificates,
    ShrinkIsr,
    SlowConsumer,
    SlowDisk,
    Stop,
    TooManyConnections,
    TruncateTail,
    UncleanElection,
    UnknownCa,
    ViolateMinIsr,
    World,
    WrongHost,
    ZombieProducer,
    from_json,
    heal_pending,
    pending,
    registry,
    roles,
    to_json,
)
from kafkaos.links.firewall import reason_why_not
from kafkaos.traffic.child import Surroundings
from kafkaos.traffic.client import ClientHandle
from kafkaos.traffic.handles import ConsumerHandle, ProducerHandle, TransactionalHandle
from kafkaos.traffic.settings import ConsumerSettings, ProducerSettings, TransactionalSettings

TOPIC = "orders"
TWICE = "twice"
"""A topic with two replicas: there is a broker to move to."""
CARELESS = "careless"
"""A topic with min.insync.replicas=1: a leader alone acknowledges."""
CLIENT = "sender"
SINGLE = "single"
OLDER = str(Path(__file__).with_name("older.toml"))
STORAGE = str(Path(__file__).with_name("storage.toml"))
FIREWALL = "three-firewall"
HEALTHY_DEADLINE_S = 60.0
MUTED_DEADLINE_S = 1.0
CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Case:
    """A fault on a cluster, and the actions without which it does nothing."""

    fault: Fault
    muted: tuple[str, ...]
    cluster: str = "three"
    clients: tuple[str, ...] = (CLIENT,)
    """Those that run before the fault."""
    fenced: str | None = None
    """The client that does not survive the fault."""

    def __str__(self) -> str:
        return f"{self.fault} on {Path(self.cluster).stem}".replace(" ", "-")


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
    Case(ClockJump(roles.leader(TOPIC)), ("kafkaos.faults.clock.set_offset",)),
    Case(ClockSkew(roles.follower(TOPIC)), ("set_environment",)),
    Case(ExpiredCertificate(roles.broker(1)), ("alter_broker",), "single-mtls"),
    Case(UnknownCa(roles.broker(1)), ("alter_broker",), "single-mtls"),
    Case(WrongHost(roles.broker(1)), ("alter_broker",), "single-mtls"),
    Case(RevokedTrust(roles.broker(1)), ("alter_broker",), "single-mtls"),
    Case(MissingClientCertificate(CLIENT), ("kafkaos.traffic.client.ClientHandle.restart",), "single-mtls"),
    Case(SlowDisk(roles.broker(1)), ("kafkaos.faults.slow_disk.set_delay",), SINGLE),
    Case(RotateCertificates(), ("alter_broker",), "single-mtls"),
    Case(Quota(CLIENT, TOPIC, produce_bytes_per_s=2000.0), ("alter_quota",), SINGLE),
    Case(RecordTooLarge(TOPIC), ("alter_topic",), SINGLE),
    Case(TooManyConnections(roles.broker(1)), ("alter_broker",), SINGLE),
    Case(MemoryPressure(roles.broker(1)), ("set_environment",), SINGLE),
    Case(MixedVersions(roles.broker(1)), ("set_version",), OLDER),
    Case(RollingUpgrade(), ("set_version",), OLDER),
    Case(DiskFull(roles.leader(TOPIC)), ("kafkaos.faults.disk.fill",), STORAGE),
    Case(DiskFull(roles.controller()), ("kafkaos.faults.disk.fill",), STORAGE),
    Case(FailLogDir(roles.broker(2)), ("kafkaos.backends.mounts.make_read_only",), STORAGE),
    Case(TruncateTail(roles.leader(TOPIC), TOPIC), ("kafkaos.faults.damage.truncate",), STORAGE),
    Case(FlipBit(roles.follower(TOPIC), TOPIC), ("kafkaos.faults.damage.flip",), STORAGE),
    Case(Cut(roles.leader(TOPIC), roles.follower(TOPIC), direction="to"), ("set_link_rule",), FIREWALL),
    Case(Isolate(roles.leader(TOPIC)), ("set_link_rule",), FIREWALL),
    Case(HalfOpen(roles.leader(TOPIC), peers="clients"), ("set_link_rule",), FIREWALL),
    Case(KillClient(CLIENT), ("kill",)),
    Case(KillBeforeCommit("reader"), ("kill",), SINGLE, ("sender", "reader")),
    Case(KillWithFullBuffers("sender"), ("kill",), SINGLE),
    Case(ExceedPollInterval("reader"), ("stall",), SINGLE, ("sender", "reader")),
    Case(SlowConsumer("reader"), ("slow_down",), SINGLE, ("sender", "reader")),
    Case(RebalanceStorm("reader", times=2), ("stop", "restart"), SINGLE, ("sender", "reader")),
    Case(FenceStaticMember("seated", "twin"), ("restart",), SINGLE, ("sender", "seated")),
    Case(ZombieProducer("payer", "successor"), ("pause",), SINGLE, ("payer",), fenced="payer"),
    Case(PauseClient(CLIENT), ("pause",)),
]

# Of the module, so that pytest keeps all tests of a case together, and with that those of a cluster.
BY_CLUSTER = pytest.mark.parametrize(
    "case", sorted(CASES, key=lambda case: case.cluster), ids=str, scope="module"
)


@pytest.fixture(scope="module")
def with_topics() -> set[ProcessCluster]:
    """The clusters that have their topics: one that takes its time for an answer tells of none.

    Not their names: a cluster that is asked for again, after another one, is a new one.
    """
    return set()


@pytest.fixture
def make_world(
    started: Callable[[str], ProcessCluster],
    with_topics: set[ProcessCluster],
    supervisor: Supervisor,
    tmp_path: Path,
) -> Iterator[Callable[[str], World]]:
    """A world on a shared cluster; after the test all is undone and the cluster is healthy."""
    worlds: list[World] = []

    def make(name: str) -> World:
        if name == FIREWALL and (reason := reason_why_not()) is not None:
            pytest.skip(reason)
        cluster = started(name)
        cluster.wait_healthy(timeout_s=HEALTHY_DEADLINE_S)
        if cluster not in with_topics:
            brokers = sum(node.is_broker for node in cluster.nodes)
            cluster.create_topic(TOPIC, config={"min.insync.replicas": str(min(2, brokers))})
            if brokers > 2:
                cluster.create_topic(TWICE, replicas=(1, 2))
                cluster.create_topic(CARELESS, replicas=(1, 2, 3), config={"min.insync.replicas": "1"})
            with_topics.add(cluster)
        worlds.append(
            World(
                cluster=cluster,
                journal=HealJournal(tmp_path / "heal.jsonl"),
                clients=_clients(cluster, Surroundings(tmp_path / "run", supervisor)),
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


@BY_CLUSTER
def test_a_fault_bites_proves_it_and_heals(case: Case, make_world: Callable[[str], World]) -> None:
    """Injected, it has evidence before its deadline; healed, everything runs again and nothing is pending."""
    world = _world_of(case, make_world)
    injection = case.fault.inject(world)
    evidence = case.fault.evidence(world, injection)
    assert evidence is not None
    assert evidence.told
    case.fault.heal(world, injection)
    case.fault.heal(world, injection)
    world.cluster.wait_healthy(timeout_s=HEALTHY_DEADLINE_S)
    assert pending(world.journal.path) == []
    running = {name for name, client in world.clients.items() if client.is_running}
    assert running >= set(case.clients) - {case.fenced}


@BY_CLUSTER
def test_a_muted_fault_has_no_evidence(
    case: Case, make_world: Callable[[str], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its acting part taken away a fault proves nothing, so that the run becomes unknown."""
    world = _world_of(case, make_world)
    fault = case.fault
    if isinstance(fault, RollingRestart):  # it looks for its evidence while it injects
        fault = replace(fault, notice_s=MUTED_DEADLINE_S)
    calls: list[str] = []
    with monkeypatch.context() as patch:
        for action in case.muted:
            if "." in action:
                patch.setattr(action, lambda *_, **__: calls.append("muted"))
            elif fault.family == "clients":
                patch.setattr(_owner(action), action, lambda *_, **__: calls.append("muted"))
            else:
                patch.setattr(world.cluster, action, lambda *_, **__: calls.append("muted"))
        injection = fault.inject(world)
        evidence = fault.evidence(world, injection, timeout_s=MUTED_DEADLINE_S)
    assert calls
    assert evidence is None
    fault.heal(world, injection)


@BY_CLUSTER
def test_a_fault_is_the_same_after_json(case: Case) -> None:
    """A fault written to JSON and read again is the same value."""
    assert from_json(to_json(case.fault)) == case.fault


def test_a_limit_of_connections_goes_from_a_broker_that_died_under_it(
    make_world: Callable[[str], World],
) -> None:
    """It is in the cluster's metadata, so the restarted broker has it too: healed, more than that are served."""
    (case,) = [one for one in CASES if isinstance(one.fault, TooManyConnections)]
    assert isinstance(case.fault, TooManyConnections)
    world = _world_of(case, make_world)
    cluster: Any = world.cluster
    injection = case.fault.inject(world)
    cluster.kill(1)
    case.fault.heal(world, injection)
    cluster.wait_healthy(timeout_s=HEALTHY_DEADLINE_S)
    host, _, port = cluster.node(1).client_address.rpartition(":")
    with contextlib.ExitStack() as held:
        for _ in range(2 * case.fault.limit):
            held.enter_context(socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S))
        wait_until(
            lambda: cluster.observe([]).answered == (1,),
            timeout_s=HEALTHY_DEADLINE_S,
            what="a new client is served",
        )


def _world_of(case: Case, make_world: Callable[[str], World]) -> World:
    if case.cluster == STORAGE and (reason := unable_to_mount()):
        pytest.skip(reason)
    world = make_world(case.cluster)
    reason = case.fault.available(world.cluster)
    if reason is not None and getattr(world.cluster, "backend", "") != "process":
        pytest.skip(reason)
    assert reason is None
    for name in case.clients:
        client = world.clients[name]
        client.restart()
        if isinstance(client, ProducerHandle):  # a fault of a log wants a record in it
            client.wait_acknowledged(1, timeout_s=HEALTHY_DEADLINE_S)
    return world


def _owner(action: str) -> type:
    return ClientHandle if hasattr(ClientHandle, action) else ConsumerHandle


def _clients(cluster: ProcessCluster, around: Surroundings) -> dict[str, ClientHandle[Any]]:
    """One of each kind that faults hurt; a case names those that it starts."""
    common: dict[str, Any] = {"topics": (TOPIC,), "config": {**cluster.client_config()}}
    short = {"session.timeout.ms": 3000, "max.poll.interval.ms": 3000, "heartbeat.interval.ms": 300}
    member = {**common, "config": {**common["config"], **short}}
    payer = {**common, "transactional_id": "payments", "rate": 100}
    return {
        CLIENT: ProducerHandle(ProducerSettings(client=CLIENT, rate=100, **common), around),
        "reader": ConsumerHandle(
            ConsumerSettings(client="reader", group="readers", commit_interval_ms=300, **member), around
        ),
        **{
            name: ConsumerHandle(
                ConsumerSettings(client=name, group="seats", group_instance_id="seat-1", **member), around
            )
            for name in ("seated", "twin")
        },
        **{
            name: TransactionalHandle(TransactionalSettings(client=name, **payer), around)
            for name in ("payer", "successor")
        },
    }
