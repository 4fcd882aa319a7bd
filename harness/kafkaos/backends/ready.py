"""Ready means produced and read: an open port is not ready."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from kafkaos.errors import SetupFailed, WaitExpired

POLL_INTERVAL_S = 0.02
READY_TOPIC = "kafkaos-ready"


def wait_until(
    condition: Callable[[], bool], *, timeout_s: float, what: str, interval_s: float = POLL_INTERVAL_S
) -> None:
    """Wait for a condition with a deadline; WaitExpired says what was waited for."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise WaitExpired(f"waited {timeout_s:g} s in vain until {what}")
        time.sleep(interval_s)


def round_trip(
    config: dict[str, str],
    *,
    addresses: Sequence[str],
    timeout_s: float,
    still_possible: Callable[[], None] = lambda: None,
) -> None:
    """Every broker registered, and a record acknowledged by all replicas and read.

    `addresses` are where the brokers really listen: a link does so before its broker does.
    `still_possible` is called while waiting, and raises when it is in vain. SetupFailed at the deadline.
    """
    deadline = time.monotonic() + timeout_s

    def check() -> None:
        still_possible()
        if time.monotonic() > deadline:
            raise SetupFailed(
                f"the brokers at {config['bootstrap.servers']} were not ready within {timeout_s:g} s: see their logs"
            )

    for address in addresses:
        while not _listens(address):
            check()
            time.sleep(POLL_INTERVAL_S)
    client: dict[str, Any] = {
        **config,
        "log_level": 0,
        "reconnect.backoff.ms": 10,
        "reconnect.backoff.max.ms": 50,
    }
    admin = AdminClient(client)
    while True:
        check()
        try:
            if len(admin.list_topics(timeout=1).brokers) == len(addresses):
                break
        except KafkaException:
            pass
        time.sleep(POLL_INTERVAL_S)
    topic = NewTopic(READY_TOPIC, num_partitions=1, replication_factor=len(addresses))
    while True:
        check()
        try:
            admin.create_topics([topic])[READY_TOPIC].result(timeout_s)
            break
        except KafkaException as error:
            if error.args[0].name() == "TOPIC_ALREADY_EXISTS":
                break
            time.sleep(POLL_INTERVAL_S)
    _produce_and_read(client, check)


def _produce_and_read(client: dict[str, Any], check: Callable[[], None]) -> None:
    token = uuid.uuid4().bytes
    acknowledged: list[bool] = []
    producer = Producer(
        {
            **client,
            "acks": "all",
            "linger.ms": 0,
            "retry.backoff.ms": 10,
            "topic.metadata.refresh.fast.interval.ms": 10,
        }
    )
    producer.produce(READY_TOPIC, token, on_delivery=lambda error, _: acknowledged.append(error is None))
    while not acknowledged:
        producer.poll(POLL_INTERVAL_S)
        check()
    if not acknowledged[0]:
        raise SetupFailed("the brokers took the connection but acknowledged no record: see their logs")
    consumer = Consumer(
        {**client, "group.id": "kafkaos-ready", "enable.auto.commit": False, "fetch.wait.max.ms": 10}
    )
    try:
        consumer.assign([TopicPartition(READY_TOPIC, 0, OFFSET_BEGINNING)])
        while True:
            message = consumer.poll(POLL_INTERVAL_S)
            if message is not None and message.error() is None and message.value() == token:
                return
            check()
    finally:
        consumer.close()


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), 1):
            return True
    except OSError:
        return False
