"""Administrative requests to a cluster: elections, reassignments, dynamic settings, quotas, features.

Kafka's own requests, sent to a living broker, which hands them to the active controller. librdkafka has no
reassignments, quotas or features, and its admin client waits for one broker of its choice even when that is dead.
"""

from __future__ import annotations

import contextlib
import ssl
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from kafkaos.backends.ask import ask
from kafkaos.backends.ready import POLL_INTERVAL_S, wait_until
from kafkaos.cluster import Node
from kafkaos.errors import KafkaosError

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka.protocol import admin as requests
    from kafka.protocol.consumer import OffsetFetchRequest
    from kafka.protocol.metadata import ApiVersionsRequest

REQUEST_TIMEOUT_S: Final = 10.0
GROUP_TIMEOUT_S: Final = 3.0
DEADLINE_S: Final = 30.0
BROKER: Final = 4
TOPIC: Final = 2
_SET, _DELETE = 0, 1
# The controller or the coordinator moved, or the broker does not know it yet: asked again until the deadline.
_PASSING: Final = frozenset(
    {KafkaError.REQUEST_TIMED_OUT, KafkaError.NOT_CONTROLLER, KafkaError.COORDINATOR_NOT_AVAILABLE,
     KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
     KafkaError.BROKER_NOT_AVAILABLE, KafkaError.NETWORK_EXCEPTION,
     KafkaError.ELIGIBLE_LEADERS_NOT_AVAILABLE}
)  # fmt: skip
_DONE_ALREADY: Final = frozenset({KafkaError.ELECTION_NOT_NEEDED})


class _Asked(Protocol):
    """What the mixin needs of the cluster that it is mixed into."""

    @property
    def brokers(self) -> list[Node]: ...
    @property
    def _observer_tls(self) -> ssl.SSLContext | None: ...
    def node(self, node_id: int) -> Node: ...
    def direct_address(self, node_id: int) -> str: ...
    def alive(self) -> list[int]: ...
    def is_paused(self, node_id: int) -> bool: ...
    def coordinator(self, key: str, *, kind: Literal["group", "transaction"] = "group") -> int: ...
    def _own_config(self) -> dict[str, str]: ...


class Administration:
    """A cluster's `Administered` part."""

    def elect_leader(self: _Asked, topic: str, partition: int, *, unclean: bool = False) -> None:
        kind = requests.ElectLeadersRequest
        wanted = [kind.TopicPartitions(topic=topic, partitions=[partition], version=2)]
        request = kind(
            version=2,
            election_type=int(unclean),
            topic_partitions=wanted,
            timeout_ms=int(REQUEST_TIMEOUT_S * 1000),
        )

        def errors(answer: Any) -> Iterable[tuple[int, str | None]]:
            yield answer.error_code, None
            for result in answer.replica_election_results:
                for place in result.partition_result:
                    yield place.error_code, place.error_message

        what = f"elect {'a leader out of sync' if unclean else 'the preferred leader'} of {topic}-{partition}"
        _until_done(self, request, errors, what)

    def reassign(self: _Asked, topic: str, partition: int, replicas: Sequence[int]) -> None:
        kind = requests.AlterPartitionReassignmentsRequest
        place = kind.ReassignableTopic.ReassignablePartition(
            partition_index=partition, replicas=list(replicas), version=0
        )
        request = kind(
            version=0,
            timeout_ms=int(REQUEST_TIMEOUT_S * 1000),
            topics=[kind.ReassignableTopic(name=topic, partitions=[place], version=0)],
        )

        def errors(answer: Any) -> Iterable[tuple[int, str | None]]:
            yield answer.error_code, answer.error_message
            for response in answer.responses:
                for part in response.partitions:
                    yield part.error_code, part.error_message

        _until_done(self, request, errors, f"move {topic}-{partition} to brokers {list(replicas)}")

    def alter_topic(self: _Asked, topic: str, settings: Mapping[str, str | None]) -> None:
        _alter(self, TOPIC, topic, settings, None)

    def alter_broker(self: _Asked, node_id: int, settings: Mapping[str, str | None]) -> None:
        # A broker takes changes of its own settings only.
        _alter(self, BROKER, str(node_id), settings, self.node(node_id))

    def alter_quota(self: _Asked, client_id: str, limits: Mapping[str, float | None]) -> None:
        kind = requests.AlterClientQuotasRequest
        entry = kind.EntryData
        changes = [
            entry.OpData(key=key, value=float(value or 0), remove=value is None, version=1)
            for key, value in limits.items()
        ]
        entity = [entry.EntityData(entity_type="client-id", entity_name=client_id, version=1)]
        request = kind(version=1, entries=[entry(entity=entity, ops=changes, version=1)], validate_only=False)

        def errors(answer: Any) -> Iterable[tuple[int, str | None]]:
            return [(result.error_code, result.error_message) for result in answer.entries]

        _until_done(self, request, errors, f"set the quota of client id {client_id}")

    def finalize_feature(self: _Asked, feature: str, level: int) -> None:
        """Raise a feature (`metadata.version`) to this level, as the last step of an upgrade."""
        kind = requests.UpdateFeaturesRequest
        update = kind.FeatureUpdateKey(feature=feature, max_version_level=level, upgrade_type=1, version=1)
        request = kind(
            version=1,
            timeout_ms=int(REQUEST_TIMEOUT_S * 1000),
            feature_updates=[update],
            validate_only=False,
        )

        def errors(answer: Any) -> Iterable[tuple[int, str | None]]:
            yield answer.error_code, answer.error_message
            for result in answer.results or ():
                yield result.error_code, result.error_message

        _until_done(self, request, errors, f"finalize {feature} {level}")

    def metadata_versions(self: _Asked, node_id: int) -> tuple[int, int]:
        answer = ask(
            self.direct_address(node_id),
            ApiVersionsRequest(version=3, client_software_name="kafkaos", client_software_version="1"),
            timeout_s=REQUEST_TIMEOUT_S,
            tls=self._observer_tls,
        )
        known = {f.name: f.max_version for f in answer.supported_features}
        now = {f.name: f.max_version_level for f in answer.finalized_features}
        return now["metadata.version"], known["metadata.version"]

    def committed(self: _Asked, group: str) -> Mapping[tuple[str, int], int]:
        kind = OffsetFetchRequest
        wanted = kind.OffsetFetchRequestGroup(group_id=group, topics=None, version=8)

        def errors(answer: Any) -> Iterable[tuple[int, str | None]]:
            yield answer.groups[0].error_code, None
            for topic in answer.groups[0].topics:
                for place in topic.partitions:
                    yield place.error_code, None

        # Not by librdkafka's admin client: it crashes (SIGSEGV) when the answer is NOT_COORDINATOR.
        answer = _until_done(
            self,
            kind(version=8, groups=[wanted], require_stable=False),
            errors,
            f"tell the committed offsets of group {group}",
            lambda: [self.node(self.coordinator(group))],
        )
        return {
            (topic.name, place.partition_index): place.committed_offset
            for topic in answer.groups[0].topics
            for place in topic.partitions
            if place.committed_offset >= 0
        }

    def members(self: _Asked, group: str) -> Sequence[str]:
        return members_of(group, self._own_config())


def members_of(group: str, config: Mapping[str, Any]) -> list[str]:
    """The client ids of a group's members, as a client of these settings is told; WaitExpired if it is not."""
    found: list[str] = []

    # A new client for each question: one that has outlived its brokers' restarts was seen to wait in vain.
    def told() -> bool:
        admin = AdminClient({**config, "log_level": 0})
        with contextlib.suppress(KafkaException, TimeoutError):
            described = admin.describe_consumer_groups([group])[group].result(GROUP_TIMEOUT_S)
            found[:] = [member.client_id for member in described.members]
            return True
        return False

    wait_until(told, timeout_s=DEADLINE_S, what=f"the coordinator tells the members of group {group}")
    return found


def _alter(
    cluster: _Asked, resource: int, name: str, settings: Mapping[str, str | None], only: Node | None
) -> None:
    kind = requests.IncrementalAlterConfigsRequest
    entry = kind.AlterConfigsResource
    changes = [
        entry.AlterableConfig(
            name=key, config_operation=_DELETE if value is None else _SET, value=value, version=1
        )
        for key, value in settings.items()
    ]
    request = kind(
        version=1,
        resources=[entry(resource_type=resource, resource_name=name, configs=changes, version=1)],
        validate_only=False,
    )

    def errors(answer: Any) -> Iterable[tuple[int, str | None]]:
        return [(response.error_code, response.error_message) for response in answer.responses]

    kind_of = "broker" if resource == BROKER else "topic"
    what = f"set {', '.join(settings)} of {kind_of} {name}"
    _until_done(cluster, request, errors, what, (lambda: [only]) if only else None)


def _until_done(
    cluster: _Asked,
    request: Any,
    errors: Callable[[Any], Iterable[tuple[int, str | None]]],
    what: str,
    whom: Callable[[], Sequence[Node]] | None = None,
) -> Any:
    """Ask living brokers in turn until one has it done, and give its answer; `whom` names others to ask.

    KafkaosError with Kafka's reason, or at the deadline.
    """
    deadline_s = time.monotonic() + DEADLINE_S
    while True:
        alive = set(cluster.alive())
        asked = whom() if whom else cluster.brokers
        living = [broker for broker in asked if broker.id in alive]
        if not living:
            states = [f"{b.name} is {'paused' if cluster.is_paused(b.id) else 'not running'}" for b in asked]
            reason = f"{', '.join(states)} (heal the faults before, or start what is down)"
        for node in living:
            try:
                answer = ask(
                    cluster.direct_address(node.id),
                    request,
                    timeout_s=REQUEST_TIMEOUT_S,
                    tls=cluster._observer_tls,
                )
            except OSError as error:
                reason = f"{node.name}: {error}"
                continue
            failed = [e for e in errors(answer) if e[0] and e[0] not in _DONE_ALREADY]
            if not failed:
                return answer
            code, message = failed[0]
            reason = f"{KafkaError(code).name()}{f' ({message})' if message else ''}"
            if code not in _PASSING:
                raise KafkaosError(f"the cluster refused to {what}: {reason}")
        if time.monotonic() > deadline_s:
            raise KafkaosError(f"the cluster did not {what} within {DEADLINE_S:g} s: {reason}")
        time.sleep(POLL_INTERVAL_S)
