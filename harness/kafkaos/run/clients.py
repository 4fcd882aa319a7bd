"""What a scenario starts: recording clients and applications under test, each a process of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from kafkaos.apps.environment import client_environment
from kafkaos.apps.handle import AppHandle, AppSettings, Ready
from kafkaos.cluster import Cluster
from kafkaos.errors import WrongUse
from kafkaos.history.recorder import Isolation
from kafkaos.traffic.child import Surroundings
from kafkaos.traffic.handles import ConsumerHandle, ProducerHandle, TransactionalHandle
from kafkaos.traffic.settings import ConsumerSettings, ProducerSettings, TransactionalSettings

# A killed member's partitions wait for this; librdkafka's own is 45 s.
SHORT_SESSION = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}

Handle = ProducerHandle | ConsumerHandle | AppHandle
H = TypeVar("H", bound=Handle)


class Clients:
    """The clients of one run by name, and the topics that they use."""

    def __init__(self, cluster: Cluster, around: Surroundings) -> None:
        self.cluster = cluster
        self.clients: dict[str, Handle] = {}
        self._around = around
        self._topics: list[str] = []
        """For the final truth."""
        self._names = itertools.count(1)

    def producer(
        self, topic: str, *, name: str | None = None, start: bool = True, **settings: Any
    ) -> ProducerHandle:
        """A recording producer in a process of its own; settings as in ProducerSettings (rate, acks, keys …)."""
        made = ProducerSettings(**self._common(topic, name or self._name("producer"), settings))
        return self._add(ProducerHandle(made, self._around), start)

    def transactional_producer(
        self,
        topic: str,
        *,
        transactional_id: str,
        name: str | None = None,
        start: bool = True,
        **settings: Any,
    ) -> TransactionalHandle:
        """A recording transactional producer; settings as in TransactionalSettings."""
        common = self._common(topic, name or self._name("transactional"), settings)
        made = TransactionalSettings(transactional_id=transactional_id, **common)
        return self._add(TransactionalHandle(made, self._around), start)

    def consumer(
        self,
        topic: str,
        *,
        group: str | None = None,
        name: str | None = None,
        start: bool = True,
        **settings: Any,
    ) -> ConsumerHandle:
        """A recording consumer; settings as in ConsumerSettings (commit, isolation, assignor …)."""
        if group is None:
            settings.setdefault("commit", "never")
        if self.cluster.spec.timeouts == "short" and settings.get("group_protocol") != "consumer":
            settings["config"] = {**SHORT_SESSION, **settings.get("config", {})}
        made = ConsumerSettings(group=group, **self._common(topic, name or self._name("consumer"), settings))
        return self._add(ConsumerHandle(made, self._around), start)

    def app(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        topics: Sequence[str] = (),
        reads: Sequence[str] = (),
        group: str | None = None,
        transactional_id: str | None = None,
        isolation: Isolation = "uncommitted",
        ready: Ready = "startup_complete",
        cwd: Path | None = None,
        start: bool = True,
    ) -> AppHandle:
        """Any command as an application under test, started and ready; `start=False` leaves both to the caller.

        It finds the cluster by KAFKAOS_BOOTSTRAP, KAFKAOS_CLIENT_CONFIG and KAFKAOS_JAVA_CONFIG (properties files),
        and `env` on top. What it prints on stdout in the words of kafkaos.apps.lines becomes rows of the recording, of
        consumer group `group` and read at `isolation`. `topics` are all that the final truth is to read; the drain
        waits until `group` has committed the ends of the topics in `reads` (the group's input). `ready` is the name
        of the line that says so, a condition, or None: running is ready. SetupFailed if it ends before that.
        """
        self._check_name(name)
        settings = AppSettings(
            name=name,
            command=tuple(map(str, command)),
            env=dict(env or {}),
            topics=tuple(dict.fromkeys([*topics, *reads])),
            reads=tuple(reads),
            group=group,
            transactional_id=transactional_id,
            isolation=isolation,
            ready=ready,
            cwd=cwd,
        )
        self._keep_topics(settings.topics)
        environment = client_environment(self.cluster, folder=self.cluster.client_folder)
        handle = self._add(AppHandle(settings, self._around, environment), start)
        if start:
            handle.wait_ready()
        return handle

    def _name(self, kind: str) -> str:
        return f"{kind}-{next(self._names)}"

    def _common(self, topic: str, name: str, settings: dict[str, Any]) -> dict[str, Any]:
        self._check_name(name)
        self._keep_topics([topic])
        config = {**self.cluster.client_config(), **settings.pop("config", {})}
        return {"topics": (topic,), "client": name, "config": config, **settings}

    def _check_name(self, name: str) -> None:
        if name in self.clients:
            raise WrongUse(f"there is a client '{name}' already: give each its own name")

    def _keep_topics(self, topics: Iterable[str]) -> None:
        """For the final truth."""
        self._topics.extend(topic for topic in topics if topic not in self._topics)

    def _add(self, handle: H, start: bool) -> H:
        self.clients[handle.name] = handle
        if start:
            handle.start()
        return handle
