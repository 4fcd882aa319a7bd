"""The registry and its writer inside a run, and what is asked of them."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from registry_model import Operation, differences, fingerprint, fingerprints, fold
from registry_store import read_clients

from kafkaos.apps.handle import AppHandle
from kafkaos.checks import (
    at_least_once,
    commits_follow_work,
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
    producer_order,
    reader_order,
)
from kafkaos.cluster import Cluster
from kafkaos.faults import Kill, KillClient
from kafkaos.faults.roles import leader
from kafkaos.faults.waiting import until
from kafkaos.run import Chaos
from kafkaos.traffic.bodies import Body

HERE = Path(__file__).parent
APP = HERE / "registry_app.py"
WAIT_S = 120.0
AT_WORK_S = 2.0
SOME = 200
SAFE = (
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
    producer_order,
    reader_order,
    at_least_once,
    commits_follow_work,
)
"""What holds in every run; how keys and owners are asked for is a scenario's own."""


class Registries:
    """Starts registries and writers of one run, each registry with a database of its own."""

    def __init__(self, cluster: Cluster, chaos: Chaos) -> None:
        self.cluster = cluster
        self.chaos = chaos
        self._folder = chaos.folder / "databases"
        self._folder.mkdir(parents=True, exist_ok=True)

    def writer(
        self, topic: str, *, name: str = "writer", keyed_by: str = "operation", **options: Any
    ) -> AppHandle:
        """Sends operations until it is stopped, or `count` of them at `rate` a second."""
        more = [word for option, value in options.items() for word in (f"--{option}", value)]
        command = [
            sys.executable,
            HERE / "registry_writer.py",
            "--topic",
            topic,
            "--keyed-by",
            keyed_by,
            *more,
        ]
        return self.chaos.app(name, command, topics=[topic])

    def registry(
        self,
        topic: str,
        *,
        name: str = "registry",
        keyed_by: str = "operation",
        program: Path = APP,
        config: Sequence[str] = (),
    ) -> AppHandle:
        """An instance with a group of its own; as a static member, so that a restarted one does not wait."""
        settings = [f"group.instance.id={name}", "session.timeout.ms=10000", *config]
        command = [
            sys.executable, program, "--topic", topic, "--group", f"clients-{name}", "--database", self.database(name),
            "--keyed-by", keyed_by, *(word for setting in settings for word in ("--config", setting)),
        ]  # fmt: skip
        return self.chaos.app(
            name,
            command,
            topics=[topic],
            reads=[topic],
            group=f"clients-{name}",
            env={"PYTHONPATH": str(HERE)},
        )

    def database(self, name: str) -> Path:
        """The SQLite file of an instance."""
        return self._folder / f"{name}.db"

    def delete_database(self, name: str) -> None:
        """The file and what SQLite keeps beside it."""
        for path in self._folder.glob(f"{name}.db*"):
            path.unlink()

    def clients(self, name: str) -> dict[int, str]:
        """What an instance keeps."""
        return read_clients(self.database(name))


def kill_and_rebuild(world: Registries, program: Path = APP) -> None:
    """C1: killed, it goes on; its leader killed, it goes on; killed and its database deleted, it builds it again.

    AssertionError with a witness where its state is not the fold of the log, at any point.
    """
    chaos = world.chaos
    topic = world.cluster.create_topic("clients")
    writer = world.writer(topic)
    registry = world.registry(topic, program=program)

    def wait_applied() -> None:
        so_far = len(registry.events("process"))
        registry.wait_event("process", count=so_far + SOME, timeout_s=WAIT_S)

    wait_applied()
    # If it can be caught at it, the kill falls between the delivery of records and the end of the work on them.
    until(lambda: is_at_work(registry) or None, timeout_s=AT_WORK_S)
    with chaos.fault(KillClient("registry")):
        pass
    wait_applied()
    follows_the_log(registry, chaos.bodies(topic))
    if len(world.cluster.nodes) > 1:
        with chaos.fault(Kill(leader(topic))):
            wait_applied()
    with chaos.fault(KillClient("registry")):
        world.delete_database("registry")
    wait_applied()
    assert writer.stop() == 0
    log = chaos.bodies(topic)
    wait_for_the_end(registry, log)
    assert follows_the_log(registry, log) == [0, registry_start(registry, 1), 0]
    # Stopped: all is in the file. By the file and not by what it says of itself.
    assert registry.stop() == 0
    assert_equal(registry.name, world.clients("registry"), fold(map(operation_of, log)))


def is_at_work(registry: AppHandle) -> bool:
    """Whether it was given records on which it has not said to be done."""
    return len(registry.events("record_data")) > len(registry.events("process"))


def wait_for_the_end(registry: AppHandle, log: list[Body]) -> None:
    """Wait until its present incarnation has applied the last record of a single partition."""
    last, now = log[-1].offset, registry.incarnation
    registry.wait_event(
        "process",
        timeout_s=WAIT_S,
        where=lambda event: event["incarnation"] == now and event["offset"] == last,
    )


def follows_the_log(registry: AppHandle, log: list[Body]) -> list[int]:
    """Its state after each record is the fold of the log so far; where each incarnation began.

    For topics of one partition. AssertionError names the first record after which it was not. What it applied since the
    log was read is left out.
    """
    after = dict(zip((body.offset for body in log), fingerprints(map(operation_of, log)), strict=True))
    operations = {body.offset: operation_of(body) for body in log}
    begun: dict[int, int] = {}
    following: dict[int, int] = {}
    for event in registry.events("process"):
        offset, number = event["offset"], event["incarnation"]
        if offset > log[-1].offset:
            continue
        begun.setdefault(number, offset)
        who = f"{registry.name} (incarnation {number})"
        due = following.get(number, offset)
        assert offset == due, f"{who} applied offset {offset} where {due} was next"
        following[number] = offset + 1
        assert event["fingerprint"] == after[offset], (
            f"{who} was not the fold of the log after offset {offset} ({operations[offset]}): "
            f"it was {event['fingerprint']}, the fold is {after[offset]}"
        )
    for event in registry.events("startup_complete"):
        number = event["incarnation"]
        if number not in begun:
            continue
        before = after.get(begun[number] - 1, fingerprint({}))
        assert event["fingerprint"] == before, (
            f"{registry.name} (incarnation {number}) began with another state"
        )
    return [begun[number] for number in sorted(begun)]


def registry_start(registry: AppHandle, incarnation: int) -> int:
    """The first offset that an incarnation applied."""
    return int(next(e["offset"] for e in registry.events("process") if e["incarnation"] == incarnation))


def assert_equal(name: str, is_: dict[int, str], should: dict[int, str]) -> None:
    """AssertionError names the clients that differ."""
    told = differences(is_, should)
    assert not told, f"{name} does not hold the fold of the log: {'; '.join(told)}"


def operation_of(body: Body) -> Operation:
    """A record keyed by its operation."""
    return Operation((body.key or b"").decode(), (body.value or b"").decode())


def operations_sent(writer: AppHandle) -> list[Operation]:
    """In the order in which the writer sent them."""
    return [Operation(event["operation"], event["value"]) for event in writer.events("send")]


def clients_over_http(registry: AppHandle) -> dict[int, Any]:
    """GET /clients of the present incarnation."""
    port = registry.events("startup_complete")[-1]["port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/clients", timeout=WAIT_S) as answer:
        return {int(client): body for client, body in json.load(answer).items()}


def health(registry: AppHandle) -> dict[str, Any]:
    """GET /health of the present incarnation."""
    port = registry.events("startup_complete")[-1]["port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=WAIT_S) as answer:
        found: dict[str, Any] = json.load(answer)
        return found
