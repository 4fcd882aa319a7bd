"""An application that copies a topic record by record: `python -m kafkaos.controls.copier SOURCE SINK MODE`.

MODE is `exactly-once` (outputs and offsets in one transaction) or `at-least-once` (offsets committed afterwards).
Its first incarnation stops for good between the outputs of its second batch and their commit: there it is to be killed.
It speaks the line contract, and knows its cluster by environment alone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer

BATCH_RECORDS = 10
PRODUCED = "produced"
"""The line that it prints when a batch's outputs are in the log and not committed."""
_running = True


def _tell(name: str, **more: object) -> None:
    print(json.dumps({"timestamp": round(time.time() * 1000), "name": name, **more}), flush=True)


def _stop(*_: object) -> None:
    global _running  # noqa: PLW0603 - a signal handler has no other way
    _running = False


def main() -> None:
    """Copy until SIGTERM."""
    source, sink, mode = sys.argv[1:]
    lines = Path(os.environ["KAFKAOS_CLIENT_CONFIG"]).read_text(encoding="utf-8").splitlines()
    config = dict(line.split("=", 1) for line in lines if line.strip())
    transactional = mode == "exactly-once"
    group = f"copier-{sink}"
    consumer = Consumer(
        {**config, "group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest",
         "isolation.level": "read_committed", "session.timeout.ms": 6000}
    )  # fmt: skip
    producer = Producer({**config, **({"transactional.id": group} if transactional else {"acks": "all"})})
    signal.signal(signal.SIGTERM, _stop)
    if transactional:
        producer.init_transactions(60)
    consumer.subscribe([source])
    _tell("startup_complete")
    batches = 0
    while _running:
        records = consumer.consume(BATCH_RECORDS, 0.2)
        if not records:
            continue
        if transactional:
            producer.begin_transaction()
        for record in records:
            producer.produce(sink, key=record.key(), value=record.value())
        producer.flush(60)
        batches += 1
        _tell(PRODUCED, count=len(records))
        if batches == 2 and os.environ["KAFKAOS_INCARNATION"] == "0":
            signal.pause()
        if transactional:
            positions = consumer.position(consumer.assignment())
            producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata(), 60)
            producer.commit_transaction(60)
        else:
            consumer.commit(asynchronous=False)
    consumer.close()
    _tell("shutdown_complete")


if __name__ == "__main__":
    main()
