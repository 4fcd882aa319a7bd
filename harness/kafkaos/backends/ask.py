"""Ask one particular broker: Kafka's own requests over one connection, so that no client library picks the broker.

kafka-python gives the messages of the protocol; the socket is ours.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
import uuid
import warnings
from collections.abc import Iterator
from typing import Any, Literal

from kafkaos.cluster import ClusterState, LinkProbe, PartitionState

with warnings.catch_warnings():
    # kafka-python reads its schemas by a call that Python 3.11 deprecates: not for our users to see.
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka.protocol.admin
    import kafka.protocol.consumer
    import kafka.protocol.metadata
    from kafka.protocol.parser import KafkaProtocol
    from kafka.record.memory_records import MemoryRecords


NO_TOPIC_ID = uuid.UUID(int=0)
OBSERVER = "kafkaos-observer"


def ask(
    address: str,
    request: Any,
    *,
    timeout_s: float,
    tls: ssl.SSLContext | None = None,
    client_id: str = OBSERVER,
) -> Any:
    """One request, one response. OSError (time-outs included) when that broker does not answer."""
    with _connected(address, timeout_s, tls) as connection:
        return _answer(connection, address, request, client_id)


@contextlib.contextmanager
def _connected(address: str, timeout_s: float, tls: ssl.SSLContext | None) -> Iterator[socket.socket]:
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout_s) as plain,
        _secured(plain, host, timeout_s, tls) as connection,
    ):
        yield connection


def probe(address: tuple[str, int], *, timeout_s: float, tls: ssl.SSLContext | None, host: str) -> LinkProbe:
    """Connect, and ask for the API versions; `host` is the name in the certificate. Never an error."""
    connected = False
    try:
        with socket.create_connection(address, timeout_s) as plain:
            connected = True
            with _secured(plain, host, timeout_s, tls) as connection:
                return LinkProbe(True, round_trip_s(connection))
    except OSError:
        return LinkProbe(connected, None)


def round_trip_s(connection: socket.socket) -> float:
    """Seconds from a question (for the API versions) to the answer, on an open connection."""
    began_s = time.monotonic()
    _answer(connection, "the other end", kafka.protocol.metadata.ApiVersionsRequest(version=0))
    return time.monotonic() - began_s


@contextlib.contextmanager
def _secured(
    plain: socket.socket, host: str, timeout_s: float, tls: ssl.SSLContext | None
) -> Iterator[socket.socket]:
    if tls is None:
        yield plain
        return
    with tls.wrap_socket(plain, server_hostname=host) as connection:
        connection.settimeout(timeout_s)
        yield connection


def _answer(connection: socket.socket, address: str, request: Any, client_id: str = OBSERVER) -> Any:
    protocol = KafkaProtocol(client_id=client_id)
    protocol.send_request(request)
    connection.sendall(protocol.send_bytes())
    while True:
        data = connection.recv(1 << 16)
        if not data:
            raise ConnectionError(f"{address} closed the connection")
        responses = protocol.receive_bytes(data)
        if responses:
            return responses[0][1]


def metadata(address: str, topics: list[str] | None, *, timeout_s: float, tls: ssl.SSLContext | None) -> Any:
    """The metadata of these topics (None: all) as that broker knows it."""
    return ask(address, _metadata_request(topics), timeout_s=timeout_s, tls=tls)


def metadata_and_quorum_leader(
    address: str, *, timeout_s: float, tls: ssl.SSLContext | None
) -> tuple[Any, tuple[int, int] | None]:
    """`metadata` of all topics and `quorum_leader` (None where the quorum is not described), over one connection.

    A TLS handshake costs more than the questions.
    """
    with _connected(address, timeout_s, tls) as connection:
        told = _answer(connection, address, _metadata_request(None))
        try:
            return told, _quorum_leader(address, _answer(connection, address, _quorum_request()))
        except OSError:
            return told, None


def _metadata_request(topics: list[str] | None) -> Any:
    kind = kafka.protocol.metadata.MetadataRequest
    wanted = (
        None
        if topics is None
        else [kind.MetadataRequestTopic(topic_id=NO_TOPIC_ID, name=name, version=12) for name in topics]
    )
    return kind(version=12, topics=wanted, allow_auto_topic_creation=False)


def merge(
    answers: dict[int, Any], *, alive: list[int], controller: int | None, brokers: list[int]
) -> ClusterState:
    """One state from several brokers' metadata: of each partition the one with the newest leader epoch.

    An isolated broker goes on telling its old metadata, so a broker counts as fenced when a majority of those that
    answered do not list it.
    """
    newest: dict[tuple[str, int], PartitionState] = {}
    listed = dict.fromkeys(brokers, 0)
    for answer in answers.values():
        for broker in answer.brokers:
            if broker.node_id in listed:
                listed[broker.node_id] += 1
        for topic in answer.topics:
            for p in topic.partitions:
                state = PartitionState(
                    topic.name, p.partition_index, p.leader_id if p.leader_id >= 0 else None, p.leader_epoch,
                    tuple(p.replica_nodes), tuple(p.isr_nodes),
                )  # fmt: skip
                known = newest.get((state.topic, state.partition))
                if (
                    known is None
                    or state.leader_epoch > known.leader_epoch
                    or (state.leader_epoch == known.leader_epoch and len(state.isr) < len(known.isr))
                ):
                    newest[state.topic, state.partition] = state
    fenced = tuple(b for b, count in listed.items() if 2 * count <= len(answers))
    return ClusterState(
        partitions=tuple(newest[key] for key in sorted(newest)),
        controller=controller,
        alive=tuple(alive),
        answered=tuple(sorted(answers)),
        fenced=fenced if answers else (),
    )


def quorum_leader(address: str, *, timeout_s: float, tls: ssl.SSLContext | None) -> tuple[int, int]:
    """The active controller and its epoch, as that node's quorum knows it; OSError where it does not describe it."""
    return _quorum_leader(address, ask(address, _quorum_request(), timeout_s=timeout_s, tls=tls))


def _quorum_request() -> Any:
    kind = kafka.protocol.admin.DescribeQuorumRequest
    topic = kind.TopicData(
        topic_name="__cluster_metadata",
        partitions=[kind.TopicData.PartitionData(partition_index=0, version=1)],
        version=1,
    )
    return kind(version=1, topics=[topic])


def _quorum_leader(address: str, answer: Any) -> tuple[int, int]:
    if answer.error_code or not answer.topics:
        raise OSError(f"{address} did not describe the quorum: error {answer.error_code}")
    partition = answer.topics[0].partitions[0]
    if partition.error_code:
        raise OSError(f"{address} did not describe the quorum: error {partition.error_code}")
    return partition.leader_id, partition.leader_epoch


def log_dirs(address: str, *, timeout_s: float, tls: ssl.SSLContext | None) -> Any:
    """That broker's log directories; one that it took offline has an error code."""
    request = kafka.protocol.admin.DescribeLogDirsRequest(version=1, topics=[])
    return ask(address, request, timeout_s=timeout_s, tls=tls)


def find_coordinator(
    address: str,
    key: str,
    kind: Literal["group", "transaction"],
    *,
    timeout_s: float,
    tls: ssl.SSLContext | None,
) -> int | None:
    """The coordinator's node id, or None while there is none."""
    request = kafka.protocol.metadata.FindCoordinatorRequest(
        version=4, key_type=0 if kind == "group" else 1, coordinator_keys=[key]
    )
    found = ask(address, request, timeout_s=timeout_s, tls=tls).coordinators[0]
    return None if found.error_code else int(found.node_id)


def create_topic(
    address: str, name: str, *, replicas: int, timeout_s: float, tls: ssl.SSLContext | None
) -> int:
    """Make a topic of one partition; the broker's error code."""
    kind = kafka.protocol.admin.CreateTopicsRequest
    wanted = kind.CreatableTopic(
        name=name, num_partitions=1, replication_factor=replicas, assignments=[], configs=[], version=5
    )
    request = kind(version=5, topics=[wanted], timeout_ms=int(timeout_s * 1000), validate_only=False)
    return int(ask(address, request, timeout_s=timeout_s, tls=tls).topics[0].error_code)


def first_values(
    address: str, topic: str, *, timeout_s: float, tls: ssl.SSLContext | None
) -> list[bytes | None]:
    """The values at the beginning of partition 0, as a consumer is given them; none where that broker does not lead."""
    kind = kafka.protocol.consumer.FetchRequest
    limits: dict[str, int] = {
        "log_start_offset": -1,
        "partition_max_bytes": 1 << 20,
        "current_leader_epoch": -1,
    }
    place = kind.FetchTopic.FetchPartition(partition=0, fetch_offset=0, version=11, **limits)
    request = kind(
        version=11, replica_id=-1, max_wait_ms=100, min_bytes=1, max_bytes=1 << 20, isolation_level=0,
        session_id=0, session_epoch=-1, forgotten_topics_data=[], rack_id="",
        topics=[kind.FetchTopic(topic=topic, partitions=[place], version=11)],
    )  # fmt: skip
    found = ask(address, request, timeout_s=timeout_s, tls=tls).responses[0].partitions[0]
    batches = MemoryRecords(bytes(found.records or b""))
    values = []
    while batches.has_next():
        values += [record.value for record in batches.next_batch()]
    return values
