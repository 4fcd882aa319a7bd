"""The client registry: keeps clients in its database from the operations in a topic, its source of truth.

Everything is applied in the order of the log, and the position lies in the database beside the clients. A registry
whose database is gone therefore builds the same one again from the beginning. The offsets committed to Kafka are for
those who watch its lag; it never starts from them.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition
from registry_http import serve
from registry_lines import properties, say, text
from registry_store import Applied, Change, Store

BATCH_RECORDS = 100
POLL_S = 0.1

log = logging.getLogger("registry")


class Registry:
    """One instance: one consumer group, one database."""

    def __init__(self, config: dict[str, Any], store: Store, *, topic: str, keyed_by: str) -> None:
        self._consumer = Consumer({**config, "on_commit": self._on_commit})
        self._store = store
        self._topic = topic
        self._keyed_by = keyed_by
        self._applied: dict[int, int] = {}
        self._committed: dict[int, int] = {}
        self._committing = False
        self._stopping = False
        self.health: dict[str, Any] = {"fingerprint": store.fingerprint, "positions": {}}

    def stop(self, *_: object) -> None:
        """Finish the batch at hand, then leave."""
        self._stopping = True

    def run(self) -> None:
        """Apply the log until told to stop."""
        self._consumer.subscribe([self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke)
        while not self._stopping:
            records = [m for m in self._consumer.consume(BATCH_RECORDS, POLL_S) if self._is_record(m)]
            if records:
                self._take(records)
            self._commit()

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()

    def _take(self, records: list[Message]) -> None:
        changes = [self._change(record) for record in records]
        for change, record in zip(changes, records, strict=True):
            say("record_data", **_place(change), key=text(record.key()), value=text(change.value))
        for applied in self._store.apply(changes, self._tell):
            self.health["fingerprint"] = applied.fingerprint
            self.health["positions"][str(applied.change.partition)] = applied.change.offset + 1
        self._applied |= {change.partition: change.offset + 1 for change in changes}

    def _change(self, record: Message) -> Change:
        if self._keyed_by == "operation":
            operation = record.key()
        else:
            headers: Any = record.headers() or []
            operation = dict(headers).get("operation")
        partition, offset = int(record.partition() or 0), int(record.offset() or 0)
        return Change(self._topic, partition, offset, text(operation) or "", record.value())

    def _tell(self, applied: Applied) -> None:
        change = applied.change
        if applied.error is not None:
            log.error("%s-%d at %d skipped: %s", change.topic, change.partition, change.offset, applied.error)
            say("skipped", **_place(change), error=applied.error)
        say("process", **_place(change), operation=change.operation, fingerprint=applied.fingerprint)

    def _commit(self) -> None:
        """Tell the group how far this instance is; a rebuild must not make its lag look grown.

        One commit at a time: what librdkafka sends again after a lost connection would undo a later one.
        """
        ahead = {p: offset for p, offset in self._applied.items() if offset > self._committed.get(p, 0)}
        if ahead and not self._committing:
            self._committing = True
            places = [TopicPartition(self._topic, partition, offset) for partition, offset in ahead.items()]
            self._consumer.commit(offsets=places, asynchronous=True)

    def _on_commit(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        self._committing = False
        done = [p for p in places if p.offset >= 0]
        if error is None:
            self._committed |= {p.partition: p.offset for p in done if p.error is None}
        if done:
            say(
                "offsets_committed",
                offsets=[{"topic": p.topic, "partition": p.partition, "offset": p.offset} for p in done],
                success=error is None,
                error=None if error is None else str(error),
            )

    def _on_assign(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        for place in places:
            offset = self._store.next_offset(place.topic, place.partition)
            place.offset = OFFSET_BEGINNING if offset is None else offset
        for known in consumer.committed(places, timeout=30):
            self._committed[known.partition] = max(known.offset, 0)
        consumer.assign(places)
        say("partitions_assigned", partitions=[{"topic": p.topic, "partition": p.partition} for p in places])

    def _on_revoke(self, _: Consumer, places: list[TopicPartition]) -> None:
        for place in places:
            self._applied.pop(place.partition, None)
        say("partitions_revoked", partitions=[{"topic": p.topic, "partition": p.partition} for p in places])

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is not None:
            log.warning("%s", error)
        return error is None


def _place(change: Change) -> dict[str, Any]:
    return {"topic": change.topic, "partition": change.partition, "offset": change.offset}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--topic", default="clients")
    parser.add_argument("--group", required=True, help="a group of its own for each instance")
    parser.add_argument(
        "--database", type=Path, required=True, help="the SQLite file; made if it is not there"
    )
    parser.add_argument("--keyed-by", choices=["operation", "client"], default="operation",
                        help="what a record's key is; with `client` the operation is in a header")  # fmt: skip
    parser.add_argument("--port", type=int, default=0, help="of the HTTP interface; 0 takes a free one")
    parser.add_argument("--command-config", type=Path, default=os.environ.get("KAFKAOS_CLIENT_CONFIG"),
                        help="client properties, as of librdkafka")  # fmt: skip
    parser.add_argument(
        "--config", action="append", default=[], metavar="NAME=VALUE", help="one more of them"
    )
    given = parser.parse_args()
    if given.command_config is None:
        parser.error("give --command-config or set KAFKAOS_CLIENT_CONFIG: where is the cluster?")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    config: dict[str, Any] = {
        **properties(given.command_config),
        "group.id": given.group,
        "enable.auto.commit": False,
        "fetch.queue.backoff.ms": 10,
        **dict(one.split("=", 1) for one in given.config),
    }
    store = Store(given.database)
    registry = Registry(config, store, topic=given.topic, keyed_by=given.keyed_by)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, registry.stop)
    server = serve(given.database, lambda: registry.health, port=given.port)
    say("startup_complete", port=server.server_port, fingerprint=store.fingerprint)
    try:
        registry.run()
    except KafkaException as error:
        log.critical("the Kafka client cannot go on: %s", error)
        return 1
    finally:
        registry.close()
        server.shutdown()
        store.close()
    say("shutdown_complete")
    return 0


if __name__ == "__main__":
    sys.exit(main())
