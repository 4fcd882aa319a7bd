"""Plain confluent-kafka loops, as a user writes them first, each a process of its own: what ours is compared with.

`python -m kafkaos.bench.loops KIND FILE.json` runs one and prints `{"records": …, "seconds": …}`: of a producer from
the first `produce` to the last acknowledgement, of a consumer from its first batch, which does not count, to its last.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

BATCH_RECORDS = 5_000
DEADLINE_S = 120.0


def produce(config: dict[str, Any], topic: str, records: int, size_bytes: int) -> dict[str, float]:
    """Produce with a delivery callback. Raises RuntimeError where not all were acknowledged."""
    producer = Producer(config)
    producer.list_topics(topic, timeout=30)
    value, answered = bytes(size_bytes), 0

    def on_delivery(error: Any, _: Any) -> None:
        nonlocal answered
        answered += error is None

    began_s = time.monotonic()
    for _ in range(records):
        while True:
            try:
                producer.produce(topic, value, on_delivery=on_delivery)
                break
            except BufferError:
                producer.poll(0.01)
        producer.poll(0)
    producer.flush(DEADLINE_S)
    seconds = time.monotonic() - began_s
    if answered != records:
        raise RuntimeError(f"{answered} of {records} records were acknowledged")
    return {"records": records, "seconds": seconds}


def consume(config: dict[str, Any], topic: str, records: int, *, look: bool) -> dict[str, float]:
    """Consume in batches; with `look` the offset and value of each record are taken out."""
    consumer = Consumer(config)
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    deadline_s = time.monotonic() + DEADLINE_S
    first_s, first, read, last_s = 0.0, 0, 0, 0.0
    while read < records:
        batch = consumer.consume(BATCH_RECORDS, 0.1)
        if look:
            for record in batch:
                record.offset()
                record.value()
        last_s = time.monotonic()
        if last_s > deadline_s:
            raise RuntimeError(f"{read} of {records} records were read in {DEADLINE_S:g} s")
        read += len(batch)
        if batch and not first:
            first_s, first = last_s, len(batch)
    consumer.close()
    return {"records": read - first, "seconds": last_s - first_s}


def main() -> None:
    """One loop, told by a JSON file."""
    kind, path = sys.argv[1:]
    given = json.loads(Path(path).read_text(encoding="utf-8"))
    if kind == "produce":
        done = produce(given["config"], given["topic"], given["records"], given["size_bytes"])
    else:
        done = consume(given["config"], given["topic"], given["records"], look=kind == "look")
    print(json.dumps(done))


if __name__ == "__main__":
    main()
