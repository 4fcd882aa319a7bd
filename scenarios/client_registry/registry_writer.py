"""The front desk of the client registry: writes clients that come, change and leave, at a steady rate."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, Message, Producer
from registry_lines import properties, say

CLIENTS_PER_START = 1_000_000  # ids of a restarted writer never meet those before
LINGER_MS = 5


def operations(rng: random.Random, *, first_id: int) -> Iterator[tuple[str, int, str]]:
    """Operation, client and value, without end. No two are equal: a client has versions, and leaves but once."""
    known: dict[int, int] = {}
    next_id = first_id
    while True:
        dice = rng.random()
        if not known or dice < 0.5:
            client, next_id = next_id, next_id + 1
            known[client] = 1
            yield "CLIENT-PUT", client, _client(client, 1)
        elif dice < 0.72:
            client = rng.choice(list(known))
            known[client] += 1
            yield "CLIENT-PUT", client, _client(client, known[client])
        elif dice < 0.98:
            client = rng.choice(list(known))
            del known[client]
            yield "CLIENT-DELETE", client, str(client)
        else:  # an operation of tomorrow, which today's registry must pass over
            client, next_id = next_id, next_id + 1
            yield "CLIENT-MERGE", client, str(client)


def _client(client: int, version: int) -> str:
    return json.dumps(
        {"id": client, "name": f"client {client}", "mail": f"{client}@example.org", "version": version}
    )


class Writer:
    """Sends, and tells each send and each answer."""

    def __init__(self, producer: Producer, *, topic: str, keyed_by: str) -> None:
        self._producer = producer
        self._topic = topic
        self._keyed_by = keyed_by
        self.stopping = False

    def stop(self, *_: object) -> None:
        self.stopping = True

    def send(self, operation: str, client: int, value: str) -> None:
        """Hand one record over; it waits while the client's queue is full."""
        key = operation if self._keyed_by == "operation" else str(client)
        told = {"topic": self._topic, "key": key, "value": value, "about": client}

        def answered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                say("producer_send_success", **told, partition=message.partition(), offset=message.offset())
            else:
                say("producer_send_error", **told, exception=error.name(), message=error.str())

        say("send", **told, operation=operation)
        while True:
            try:
                self._producer.produce(
                    self._topic, value, key, on_delivery=answered, headers={"operation": operation}
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--topic", default="clients")
    parser.add_argument("--keyed-by", choices=["operation", "client"], default="operation")
    parser.add_argument("--rate", type=float, default=300.0, help="records a second")
    parser.add_argument("--count", type=int, help="stop after so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--command-config", type=Path, default=os.environ.get("KAFKAOS_CLIENT_CONFIG"))
    given = parser.parse_args()
    if given.command_config is None:
        parser.error("give --command-config or set KAFKAOS_CLIENT_CONFIG: where is the cluster?")
    start = int(os.environ.get("KAFKAOS_INCARNATION", "0"))
    config: dict[str, Any] = {
        **properties(given.command_config),
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": LINGER_MS,
        "partitioner": "murmur2_random",  # as Java's
    }
    producer = Producer(config)
    writer = Writer(producer, topic=given.topic, keyed_by=given.keyed_by)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, writer.stop)
    say("startup_complete")
    begun_s = time.monotonic()
    sent = 0
    stream = operations(random.Random(f"{given.seed}/{start}"), first_id=start * CLIENTS_PER_START)
    while not writer.stopping and sent != given.count:
        writer.send(*next(stream))
        sent += 1
        while (left_s := begun_s + sent / given.rate - time.monotonic()) > 0 and not writer.stopping:
            producer.poll(left_s)  # it comes back with each answer
        producer.poll(0)
    producer.flush()
    say("shutdown_complete", sent=sent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
