"""Ready means produced and read: an open port is not ready."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from kafkaos.backends.ask import create_topic, find_coordinator, first_values
from kafkaos.errors import SetupFailed, WaitExpired

POLL_INTERVAL_S = 0.02
READY_TOPIC = "kafkaos-ready"
LOOK_S = 5.0
"""One question may take as long: an answer that never comes is to cost one look, not the whole deadline."""
NOBODY = -1
"""As librdkafka names the leader of a partition that has none."""
AT_ONCE: Final[dict[str, Any]] = {
    "log_level": 0,
    "acks": "all",
    "linger.ms": 0,
    "reconnect.backoff.ms": 10,
    "reconnect.backoff.max.ms": 50,
    "retry.backoff.ms": 10,
    "topic.metadata.refresh.fast.interval.ms": 10,
}


def wait_until(
    condition: Callable[[], bool], *, timeout_s: float, what: str, interval_s: float = POLL_INTERVAL_S
) -> None:
    """Wait for a condition with a deadline; WaitExpired says what was waited for.

    Between two looks are at most `interval_s`; the first follow sooner, for what is nearly there already.
    """
    deadline = time.monotonic() + timeout_s
    pause_s = min(POLL_INTERVAL_S, interval_s)
    while not condition():
        if time.monotonic() > deadline:
            raise WaitExpired(f"waited {timeout_s:g} s in vain until {what}")
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, interval_s)


def round_trip(
    config: dict[str, str],
    *,
    addresses: Mapping[int, str],
    tls: ssl.SSLContext | None,
    timeout_s: float,
    still_possible: Callable[[], None] = lambda: None,
) -> None:
    """Every broker registered, and a record acknowledged by all replicas and read.

    `addresses` are where the brokers really listen, by their ids: a link does so before its broker does. The record is
    a client's, written where clients write; what else is asked goes straight to a broker, since each further client
    is several TLS handshakes with JVMs that are still cold. `still_possible` is called while waiting, and raises when
    it is in vain. SetupFailed at the deadline.
    """
    deadline = time.monotonic() + timeout_s
    place = config["bootstrap.servers"]
    ask: dict[str, Any] = {"timeout_s": min(LOOK_S, timeout_s), "tls": tls}

    def check(what: str, seen: object) -> None:
        still_possible()
        if time.monotonic() > deadline:
            raise SetupFailed(
                f"the brokers at {place} were not ready within {timeout_s:g} s: {what} ({seen}); see their logs"
            )

    def soon(condition: Callable[[], bool], what: str) -> None:
        while True:
            seen: object = "not yet"
            # A broker may listen a moment before it answers.
            try:
                if condition():
                    return
            except OSError as error:
                seen = error
            check(what, seen)
            time.sleep(POLL_INTERVAL_S)

    for address in addresses.values():
        soon(partial(listens, address), f"nothing listened at {address}")
    producer = Producer({**config, **AT_ONCE})
    soon(lambda: _registered(producer) == len(addresses), "a client was not told of all of them")
    soon(lambda: _created(addresses.values(), ask), f"none made the topic {READY_TOPIC}")
    token = _acknowledged(producer, partial(check, "no record was acknowledged"))
    leader = NOBODY

    def read() -> bool:
        # Asked at each look: on a busy machine a broker loses its session once more, and nobody or another one leads.
        nonlocal leader
        leader = _leader(producer)
        return leader in addresses and token in first_values(addresses[leader], READY_TOPIC, **ask)

    soon(read, "what was written could not be read")
    # The groups' own topic is made on the first question for a coordinator; it need not be waited for.
    with contextlib.suppress(OSError):
        find_coordinator(addresses[leader], READY_TOPIC, "group", **ask)


def _registered(producer: Producer) -> int:
    try:
        return len(producer.list_topics(timeout=1).brokers)
    except KafkaException:
        return 0


def _created(addresses: Iterable[str], ask: Mapping[str, Any]) -> bool:
    """Whether the topic is there; of the old Kafka only the controller makes topics."""
    everywhere = list(addresses)
    answers = (create_topic(address, READY_TOPIC, replicas=len(everywhere), **ask) for address in everywhere)
    return any(code in (KafkaError.NO_ERROR, KafkaError.TOPIC_ALREADY_EXISTS) for code in answers)


def _acknowledged(producer: Producer, check: Callable[[object], None]) -> bytes:
    """The value of a record that all replicas have."""
    token = uuid.uuid4().bytes
    outcomes: list[bool] = []
    producer.produce(READY_TOPIC, token, on_delivery=lambda error, _: outcomes.append(error is None))
    while not outcomes:
        producer.poll(POLL_INTERVAL_S)
        check("still sending")
    if not outcomes[0]:
        raise SetupFailed("the brokers took the connection but acknowledged no record: see their logs")
    return token


def _leader(producer: Producer) -> int:
    try:
        found = producer.list_topics(READY_TOPIC, timeout=1).topics[READY_TOPIC].partitions.get(0)
    except KafkaException:
        return NOBODY
    return NOBODY if found is None else int(found.leader)


def listens(address: str) -> bool:
    """Whether something takes connections at `host:port`."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), 1):
            return True
    except OSError:
        return False
