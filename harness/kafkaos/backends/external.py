"""The external backend: a cluster that is there already, reached as any client reaches it.

It has no processes, files or links to us, so it has only the plain protocol `Cluster`, and the faults of clients. What
is not ours stays: only topics that were made through this object are ever deleted.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from kafkaos.backends import scram
from kafkaos.backends.administration import members_of
from kafkaos.backends.ready import wait_until
from kafkaos.backends.topics import ADMIN_TIMEOUT_S, Topics
from kafkaos.cluster import ClusterState, Node, PartitionState
from kafkaos.errors import NotAvailable, SetupFailed, WrongUse
from kafkaos.spec import ClusterSpec
from kafkaos.tls.private import private_folder, write_private

NAME = "external"
REACH_DEADLINE_S = 15.0
ASK_TIMEOUT_S = 5.0
# librdkafka's words and Java's for the same file or text.
SAME_IN_JAVA = ("security.protocol", "sasl.mechanism", "sasl.kerberos.service.name")
LOGIN_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


class OnlyOfOurOwn(NotAvailable, AttributeError):
    """What a cluster that is there already has not; `isinstance` of a capability is False for it, and not an error."""


class ExternalCluster(Topics):
    """Somebody's cluster. SetupFailed, from the constructor, when it does not answer.

    Its state is the word of whichever broker the client asks; leader epochs are not told (-1).
    """

    backend = NAME

    def __init__(self, bootstrap: str, config: Mapping[str, str], *, log_folder: Path) -> None:
        super().__init__()
        self._config = {**config, "bootstrap.servers": bootstrap}
        self._log_folder = log_folder
        self._client_folder = Path(tempfile.mkdtemp(prefix="kafkaos-client-"))
        self.dirty = False
        try:
            found = self.admin().list_topics(timeout=REACH_DEADLINE_S).brokers
        except KafkaException as error:
            self.close()
            raise SetupFailed(
                f"no cluster answers at {bootstrap} ({error.args[0].str()}): check the address, and the client "
                "settings (--kafka-client-config)"
            ) from None
        self._nodes = [
            Node(b.id, f"broker-{b.id}", "broker", f"{b.host}:{b.port}") for _, b in sorted(found.items())
        ]
        # Copied: a cluster of ours has nine brokers at most, theirs may have more, of a version that is not told.
        plain = ClusterSpec(name=NAME, timeouts="production", links="none")
        self._spec = plain.model_copy(update={"brokers": len(found), "kafka": NAME})

    if not TYPE_CHECKING:  # for a type checker it has no more than what stands here

        def __getattr__(self, name: str) -> Any:
            from kafkaos.backends.process import ProcessCluster

            if hasattr(ProcessCluster, name) and not name.startswith("_"):
                raise OnlyOfOurOwn(
                    f"`{name}` needs a cluster of our own, and not one that is there already: take the backend "
                    "`process` or `docker`"
                )
            raise AttributeError(name)

    @property
    def spec(self) -> ClusterSpec:
        return self._spec

    @property
    def nodes(self) -> Sequence[Node]:
        return self._nodes

    @property
    def brokers(self) -> list[Node]:
        return self._nodes

    @property
    def log_folder(self) -> Path:
        return self._log_folder

    @property
    def client_folder(self) -> Path:
        return self._client_folder

    @property
    def bootstrap(self) -> str:
        return self._config["bootstrap.servers"]

    def client_config(self, client: str = "client") -> dict[str, str]:  # noqa: ARG002 (it has one for all)
        return dict(self._config)

    def java_config(self, client: str = "client") -> dict[str, str]:  # noqa: ARG002
        """The librdkafka settings in Java's words; WrongUse for what has none."""
        given = self._config
        java = {name: given[name] for name in ("bootstrap.servers", *SAME_IN_JAVA) if name in given}
        if "ssl.ca.location" in given:
            java |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": given["ssl.ca.location"]}
        if "ssl.certificate.location" in given:
            java |= {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(self._pem())}
        if "sasl.username" in given:
            module = LOGIN_MODULES.get(given.get("sasl.mechanism", ""))
            if module is None:
                raise WrongUse(
                    f"a Java client cannot be told of sasl.mechanism={given.get('sasl.mechanism')}: "
                    f"there are {', '.join(LOGIN_MODULES)}"
                )
            user, password = (
                scram.quoted(given["sasl.username"]),
                scram.quoted(given.get("sasl.password", "")),
            )
            java["sasl.jaas.config"] = f'{module} required username="{user}" password="{password}";'
        return java

    def _pem(self) -> Path:
        """Key and certificate in one file, as Java's PEM stores want them."""
        parts = [
            Path(self._config[name]).read_bytes() for name in ("ssl.key.location", "ssl.certificate.location")
        ]
        return write_private(private_folder(self._client_folder) / "keystore.pem", b"\n".join(parts))

    @cached_property
    def _admin(self) -> AdminClient:
        return AdminClient({**self._config, "log_level": 0})

    def admin(self) -> AdminClient:
        return self._admin

    def create_topic(self, name: str, **wanted: Any) -> str:
        """As of every cluster; SetupFailed where there is a topic of this name, which is left alone."""
        try:
            return super().create_topic(name, **wanted)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
            raise SetupFailed(
                f"the cluster at {self.bootstrap} has a topic {name} that this run did not make, and so must not "
                "delete: take another cluster, or delete it yourself if nobody needs it"
            ) from None

    def alive(self) -> list[int]:
        """The brokers that the cluster itself names."""
        try:
            return sorted(self.admin().list_topics(timeout=ASK_TIMEOUT_S).brokers)
        except KafkaException:
            return []

    def observe(self, topics: Sequence[str] | None = None) -> ClusterState:
        try:
            told = self.admin().list_topics(timeout=ASK_TIMEOUT_S)
        except KafkaException:
            return ClusterState((), None, (), fenced=tuple(node.id for node in self._nodes))
        partitions = [
            PartitionState(
                name, p.id, p.leader if p.leader >= 0 else None, -1, tuple(p.replicas), tuple(p.isrs)
            )
            for name, topic in sorted(told.topics.items())
            if topics is None or name in topics
            for p in topic.partitions.values()
        ]
        alive = tuple(sorted(told.brokers))
        gone = tuple(node.id for node in self._nodes if node.id not in alive)
        controller = told.controller_id if told.controller_id in alive else None
        return ClusterState(tuple(partitions), controller, alive, answered=alive, fenced=gone)

    def coordinator(self, key: str, *, kind: Literal["group", "transaction"] = "group") -> int:
        if kind == "transaction":
            raise NotAvailable(
                "the coordinator of a transaction is not told to clients of an external cluster"
            )
        asked = self.admin().describe_consumer_groups([key], request_timeout=ADMIN_TIMEOUT_S)[key]
        return int(asked.result(ADMIN_TIMEOUT_S).coordinator.id)

    def committed(self, group: str) -> Mapping[tuple[str, int], int]:
        """Of our own topics; not by an admin client, which crashes (SIGSEGV) on the answer NOT_COORDINATOR."""
        if not self._topics:
            return {}
        asking = Consumer({**self._config, "group.id": group, "log_level": 0})
        try:
            told = asking.committed(self._own_places(), timeout=ADMIN_TIMEOUT_S)
        finally:
            asking.close()
        for place in told:
            if place.error is not None:  # not told is not the same as none committed
                raise KafkaException(place.error)
        return {(place.topic, place.partition): place.offset for place in told if place.offset >= 0}

    def _own_places(self) -> list[TopicPartition]:
        """The partitions of our own topics; a client whose broker was away needs a moment to tell them."""
        found: list[TopicPartition] = []

        def told() -> bool:
            state = self.observe(self._topics)
            found[:] = [TopicPartition(p.topic, p.partition) for p in state.partitions]
            return {place.topic for place in found} >= set(self._topics)

        wait_until(told, timeout_s=ADMIN_TIMEOUT_S, what=f"the cluster tells of {', '.join(self._topics)}")
        return found

    def members(self, group: str) -> Sequence[str]:
        return members_of(group, self._config)

    def wait_healthy(self, *, timeout_s: float = 60.0) -> None:
        """Every broker of the beginning is there, and our own topics have their leaders and replicas."""

        def healthy() -> bool:
            state = self.observe()
            return not state.fenced and all(
                p.leader is not None and set(p.isr) == set(p.replicas)
                for p in state.partitions
                if p.topic in self._topics
            )

        self._wait_until_it_is(healthy, timeout_s)

    def close(self) -> None:
        """Let go of it; nothing of it ends, but the topics that were made here."""
        try:
            self.reset()
        finally:
            self.__dict__.pop("_admin", None)
            shutil.rmtree(self._client_folder, ignore_errors=True)


def read_client_config(path: Path) -> dict[str, str]:
    """A librdkafka properties file, as kcat -F takes it; WrongUse naming the line that is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"the client settings {path} cannot be read: {error}") from None
    found = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise WrongUse(f"{path}, line {number}, is not of the form name=value")
        found[name.strip()] = value.strip()
    return found
