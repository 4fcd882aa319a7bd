"""What the scenarios of library-events share: the two applications, HTTP callers, and a look into the database."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource
from library_databases import Database

from kafkaos.apps.handle import AppHandle
from kafkaos.faults import ViolateMinIsr
from kafkaos.faults.linked import CLIENTS
from kafkaos.faults.waiting import until
from kafkaos.links.rules import Effect
from kafkaos.run import Chaos

HERE = Path(__file__).parent
TOPIC = "library-events"
GROUP = "library-events-listener-group"
RETRY_TOPIC, DEAD_LETTER_TOPIC = "library-events.RETRY", "library-events.DLT"
RETRY_GROUP = "retry-listener-group"
WAIT_S = 120
# A killed member's partitions wait for this.
SESSION = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}


@dataclass
class Library:
    """Starts the applications of one scenario. `source` is the folder with the package, or with a changed copy."""

    chaos: Chaos
    python: Path
    source: Path = HERE
    _has_recovery_topics: bool = False

    @property
    def cluster(self) -> Any:
        return self.chaos.cluster

    def topic(self, name: str = TOPIC, *, partitions: int = 3, **config: str) -> str:
        """A topic as the deployment would make it: where there are three brokers two must have a record."""
        least = "2" if len(self.cluster.brokers) > 2 else "1"
        return self.cluster.create_topic(
            name, partitions=partitions, config={"min.insync.replicas": least, **config}
        )

    def producer(
        self, database: Database, *, name: str = "producer", topics: Sequence[str] = (TOPIC,), **settings: Any
    ) -> AppHandle:
        """The HTTP service on a port that it keeps over restarts."""
        given = {
            "http_port": free_port(),
            "database_url": database.url,
            "send_timeout_ms": 1500,
            "scheduler_interval_s": 0.5,
            **settings,
        }
        return self._app(name, "libraryevents.producer", given, topics=topics)

    def consumer(
        self,
        database: Database,
        *,
        name: str = "consumer",
        group: str = GROUP,
        start: bool = True,
        drained: bool = True,
        static: bool = True,
        **settings: Any,
    ) -> AppHandle:
        """The service that writes to the database; the drain waits for it unless `drained=False`.

        `static` membership has a killed service go on at once. Where every broker dies at once it is left out: a member
        whose last join the coordinator had not kept is fenced for good, and such a service ends.
        """
        given = {
            "database_url": database.url,
            "group": group,
            "consumer_config": json.dumps(SESSION | settings.pop("consumer_config", {})),
            "scheduler_interval_s": 0.5,
            "backoff_interval_s": 0.1,
            **settings,
        }
        if static:
            given.setdefault("instance_id", name)
        topics = [TOPIC]
        if given.get("recovery", "topic") == "topic":
            topics += self._recovery_topics()
        reads = (TOPIC,) if drained else ()
        return self._app(
            name, "libraryevents.consumer", given, topics=topics, reads=reads, group=group, start=start
        )

    def _recovery_topics(self) -> list[str]:
        """Made here, not by the service, so that the cluster is empty again after the scenario."""
        if not self._has_recovery_topics:
            for name in (RETRY_TOPIC, DEAD_LETTER_TOPIC):
                self.topic(name)
            self._has_recovery_topics = True
        return [RETRY_TOPIC, DEAD_LETTER_TOPIC]

    @contextlib.contextmanager
    def refusing(self, topic: str = TOPIC) -> Iterator[None]:
        """Within the block the topic takes no record: too few replicas; with one broker, none is small enough."""
        fault = ViolateMinIsr(topic)
        if fault.available(self.cluster) is None:
            with self.chaos.fault(fault):
                yield
            self.cluster.wait_healthy(timeout_s=WAIT_S)
            return
        usual = self.cluster.topic_config(topic)["max.message.bytes"]
        self.set_topic(topic, "max.message.bytes", "1")
        try:
            yield
        finally:
            self.set_topic(topic, "max.message.bytes", usual)

    @contextlib.contextmanager
    def cut_off(self) -> Iterator[None]:
        """Within the block no byte passes between clients and brokers; what was under way at its end is lost."""
        links = [(CLIENTS, node.id) for node in self.cluster.brokers]
        both = [*links, *((node, client) for client, node in links)]
        self.cluster.set_link_rule("cut-off", both, Effect(cut=True))
        try:
            yield
        finally:
            self.cluster.reset_links(links)
            self.cluster.remove_link_rule("cut-off")

    def set_topic(self, topic: str, name: str, value: str) -> None:
        """Change a setting of a topic, and wait until the brokers say that it is in force."""
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
        asked = self.cluster.admin().incremental_alter_configs([resource], request_timeout=WAIT_S)
        asked[resource].result(WAIT_S)
        wait_for(lambda: self.cluster.topic_config(topic)[name] == value, f"{name} of {topic} is {value}")

    def _app(self, name: str, module: str, settings: dict[str, Any], **more: Any) -> AppHandle:
        env = {f"LIBRARY_{key.upper()}": _text(value) for key, value in settings.items()}
        return self.chaos.app(name, [str(self.python), "-m", module], env=env, cwd=self.source, **more)


def _text(value: Any) -> str:
    if isinstance(value, set | frozenset | list | tuple):
        return json.dumps(sorted(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def changed_copy(folder: Path, file: str, old: str, new: str) -> Path:
    """The package with one place of one file changed: the application, broken on purpose."""
    shutil.copytree(
        HERE / "libraryevents", folder / "libraryevents", ignore=shutil.ignore_patterns("__pycache__")
    )
    path = folder / "libraryevents" / file
    code = path.read_text(encoding="utf-8")
    assert code.count(old) == 1, f"{file} has this {code.count(old)} times, not once: {old}"
    path.write_text(code.replace(old, new), encoding="utf-8")
    return folder


def free_port() -> int:
    """A port of the loopback address that nobody has at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def url_of(producer: AppHandle) -> str:
    """Where the HTTP service listens; the same over its restarts."""
    started = producer.events("startup_complete")[-1]
    return f"http://{started['host']}:{started['port']}"


def wait_for(condition: Callable[[], Any], what: str, *, timeout_s: float = WAIT_S) -> Any:
    """What the condition returned once it was true; an AssertionError at the deadline."""
    found = until(lambda: condition() or None, timeout_s=timeout_s)
    assert found, f"not seen within {timeout_s} s: {what}"
    return found
