"""What every cluster does alike, however its nodes run: topics, by the admin client, and waiting until it is well."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewTopic,
)

from kafkaos.backends.ready import wait_until
from kafkaos.cluster import ClusterState, Node, PartitionState
from kafkaos.errors import KafkaosError, WaitExpired, WrongUse
from kafkaos.spec import ClusterSpec

ADMIN_TIMEOUT_S = 30.0
# Each look is a TLS handshake with every broker: more of them would slow down what is awaited.
OBSERVE_EVERY_S = 0.1


def has_full_isr(state: ClusterState, partitions: int, copies: int) -> bool:
    """Whether a topic, alone in this state, has so many partitions, each with a leader and so many replicas in sync."""
    led = [p for p in state.partitions if p.leader is not None]
    return len(led) == partitions and all(len(p.isr) == copies for p in led)


def _wait_or_tell(
    condition: Callable[[], bool], look: Callable[[], object], *, timeout_s: float, what: str
) -> None:
    """Wait; at the deadline WaitExpired tells, beside what was awaited, what one more look sees."""
    try:
        wait_until(condition, interval_s=OBSERVE_EVERY_S, timeout_s=timeout_s, what=what)
    except WaitExpired as expired:
        raise WaitExpired(f"{expired}; last seen: {look()}") from None


def _told(partitions: Sequence[PartitionState]) -> str:
    """A topic's partitions and, where replicas are not in sync, on which brokers, and what to do."""
    behind = sorted({broker for p in partitions for broker in set(p.replicas) - set(p.isr)})
    if not behind:
        return str(partitions)
    return (
        f"{partitions}; broker(s) {behind} are not in sync: Kafka also places replicas on brokers that are down, and"
        " `replicas` puts them on living ones"
    )


class Topics:
    """A cluster's nodes by their ids, its topics, and which of them are our own."""

    def __init__(self) -> None:
        self._topics: list[str] = []

    @property
    @abstractmethod
    def spec(self) -> ClusterSpec: ...

    @property
    @abstractmethod
    def nodes(self) -> Sequence[Node]: ...

    @property
    @abstractmethod
    def brokers(self) -> list[Node]: ...

    @abstractmethod
    def admin(self) -> AdminClient: ...

    @abstractmethod
    def observe(self, topics: Sequence[str] | None = None) -> ClusterState: ...

    def node(self, node_id: int) -> Node:
        for node in self.nodes:
            if node.id == node_id:
                return node
        there = [node.id for node in self.nodes]
        raise WrongUse(f"cluster {self.spec.name} has no node {node_id}; there are: {there}")

    def _wait_until_it_is(self, healthy: Callable[[], bool], timeout_s: float) -> None:
        what = f"cluster {self.spec.name} is healthy"
        _wait_or_tell(healthy, self.observe, timeout_s=timeout_s, what=what)

    def create_topic(
        self,
        name: str,
        *,
        partitions: int = 1,
        replication_factor: int | None = None,
        replicas: Sequence[int] | None = None,
        config: Mapping[str, str] | None = None,
    ) -> str:
        copies = len(replicas) if replicas else replication_factor or min(3, len(self.brokers))
        if copies > len(self.brokers):
            raise WrongUse(
                f"topic {name} wants {copies} replicas, but cluster {self.spec.name} has {len(self.brokers)} broker(s)"
            )
        # The admin client takes either a number of replicas or their places.
        placed: dict[str, Any] = (
            {"replica_assignment": [list(replicas)] * partitions}
            if replicas
            else {"replication_factor": copies}
        )
        topic = NewTopic(name, num_partitions=partitions, config=dict(config or {}), **placed)
        complete = self._completeness(name, partitions, copies)
        self.admin().create_topics([topic], operation_timeout=ADMIN_TIMEOUT_S)[name].result(ADMIN_TIMEOUT_S)
        self._topics.append(name)
        _wait_or_tell(
            complete,
            lambda: _told(self.observe([name]).partitions),
            timeout_s=ADMIN_TIMEOUT_S,
            what=f"topic {name} is known everywhere, with a leader and a full ISR",
        )
        return name

    def _completeness(self, name: str, partitions: int, copies: int) -> Callable[[], bool]:
        """Asked for before a topic is made: tells whether it can be used."""
        return lambda: has_full_isr(self.observe([name]), partitions, copies)

    def topic_config(self, name: str) -> Mapping[str, str]:
        resource = ConfigResource(ConfigResource.Type.TOPIC, name)
        try:
            answer = (
                self.admin()
                .describe_configs([resource], request_timeout=ADMIN_TIMEOUT_S)[resource]
                .result(ADMIN_TIMEOUT_S)
            )
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise WrongUse(f"cluster {self.spec.name} has no topic {name}: create it first") from None
            raise
        return {key: entry.value for key, entry in answer.items()}

    def delete_topic(self, name: str) -> None:
        self._strip([name])
        self.admin().delete_topics([name], operation_timeout=ADMIN_TIMEOUT_S)[name].result(ADMIN_TIMEOUT_S)
        self._topics.remove(name)

    def reset(self) -> None:
        """Delete every topic made through this object, for the next user, who finds none of them; no other one."""
        self._strip(self._topics)
        try:
            for future in self.admin().delete_topics(self._topics).values() if self._topics else ():
                future.result(ADMIN_TIMEOUT_S)
        except KafkaException as error:
            left = ", ".join(self._topics)
            raise KafkaosError(f"cluster {self.spec.name} could not be emptied of {left}: {error}") from None
        names, self._topics = self._topics, []

        # The controller answers before its brokers know it. To the next user the old topic would be there, and of two
        # of one name `observe` takes the one with the higher epoch.
        def forgotten() -> bool:
            state = self.observe(names)
            living = {node.id for node in self.brokers} & set(state.alive)
            return not state.partitions and living <= set(state.answered)

        if names:
            what = f"no broker of cluster {self.spec.name} tells {', '.join(names)}"
            wait_until(forgotten, interval_s=OBSERVE_EVERY_S, timeout_s=ADMIN_TIMEOUT_S, what=what)

    def _strip(self, names: Sequence[str]) -> None:
        """Take from topics that are about to go the settings of their own.

        A broker that starts replays a topic's settings and its deletion at once, and keeps the settings (seen with
        Kafka 4.3.1; AutoMQ's issue 3556 tells the cause): a later topic of that name would have them. Where changing
        them is not allowed, in a cluster of somebody else's, the topics go all the same.
        """
        if not names:
            return
        topics = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
        admin = self.admin()
        plain = []
        for topic, answer in admin.describe_configs(topics, request_timeout=ADMIN_TIMEOUT_S).items():
            with contextlib.suppress(KafkaException):
                own = [
                    ConfigEntry(key, None, incremental_operation=AlterConfigOpType.DELETE)
                    for key, entry in answer.result(ADMIN_TIMEOUT_S).items()
                    if entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value
                ]
                if own:
                    plain.append(
                        ConfigResource(ConfigResource.Type.TOPIC, topic.name, incremental_configs=own)
                    )
        changed = admin.incremental_alter_configs(plain, request_timeout=ADMIN_TIMEOUT_S) if plain else {}
        for done in changed.values():
            with contextlib.suppress(KafkaException):
                done.result(ADMIN_TIMEOUT_S)
