"""The records of a topic with key, value and headers: for applications, whose payloads are not ours."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from kafkaos.errors import SetupFailed, WaitExpired
from kafkaos.traffic.settings import END_WAIT_MS

BodyIsolation = Literal["read_committed", "read_uncommitted"]

_REQUEST_S: Final = 2.0
_POLL_S: Final = 0.05
_BATCH_RECORDS: Final = 10_000


@dataclass(frozen=True)
class Body:
    """One record, whole; `timestamp_ms` is ms since the epoch, -1 where it has none."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def read_bodies(
    topic: str, config: Mapping[str, str], *, isolation: BodyIsolation, timeout_s: float
) -> list[Body]:
    """All records from the start to the high watermark of this moment, sorted by partition and offset.

    SetupFailed without such a topic, WaitExpired if an end is not reached in time.
    """
    deadline_s = time.monotonic() + timeout_s
    ends = _ends(topic, config, deadline_s=deadline_s)
    consumer = _consumer(config, isolation)
    found: list[Body] = []
    reached = {partition: low for partition, (low, _) in ends.items()}
    try:
        left = {partition for partition, (low, high) in ends.items() if low < high}
        # By their offsets: librdkafka asks for "the beginning" when it knows no leader yet, and again after 0.5 s.
        consumer.assign([TopicPartition(topic, partition, reached[partition]) for partition in sorted(left)])
        while left:
            for message in consumer.consume(_BATCH_RECORDS, _POLL_S):
                partition, offset = int(message.partition() or 0), int(message.offset() or 0)
                error = message.error()
                if error is None:
                    reached[partition] = offset + 1
                    if offset < ends[partition][1]:
                        found.append(_body(message))
                elif error.code() == KafkaError._PARTITION_EOF:  # behind markers and aborted records
                    reached[partition] = max(reached[partition], offset)
            left = {partition for partition in left if reached[partition] < ends[partition][1]}
            if left and time.monotonic() > deadline_s:
                told = ", ".join(f"{topic}-{p} at {reached[p]} of {ends[p][1]}" for p in sorted(left))
                raise WaitExpired(f"{topic} could not be read to its end within {timeout_s:g} s: {told}")
    finally:
        consumer.close()
    return sorted(found, key=lambda body: (body.partition, body.offset))


def keep_bodies(bodies: Iterable[Body], path: Path) -> None:
    """Write them as JSON lines. Bytes are text where they are UTF-8, else {"base64": …}."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for body in bodies:
            line = {
                "partition": body.partition,
                "offset": body.offset,
                "timestamp_ms": body.timestamp_ms,
                "key": _text(body.key),
                "value": _text(body.value),
                "headers": [[name, _text(value)] for name, value in body.headers],
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _ends(topic: str, config: Mapping[str, str], *, deadline_s: float) -> dict[int, tuple[int, int]]:
    """First offset and high watermark of each partition, which only an uncommitted reader is told."""
    consumer = _consumer(config, "read_uncommitted")
    last: object = None
    try:
        while True:
            try:
                known = consumer.list_topics(topic, timeout=_REQUEST_S).topics[topic]
                if known.error is not None:
                    raise KafkaException(known.error)
                ends = {
                    partition: consumer.get_watermark_offsets(
                        TopicPartition(topic, partition), timeout=_REQUEST_S
                    )
                    for partition in sorted(known.partitions)
                }
                # None, which the library's stubs leave out, is a leader that did not answer in time.
                told = {partition: found for partition, found in ends.items() if found is not None}
                if told.keys() == ends.keys():
                    return told
                last = f"no answer for {', '.join(f'{topic}-{p}' for p in ends if p not in told)}"
            except KafkaException as error:
                last = error
                if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise SetupFailed(f"there is no topic {topic} to read: create it first") from None
            if time.monotonic() > deadline_s:
                raise WaitExpired(f"nobody told the ends of {topic} in time: {last}")
            consumer.poll(_POLL_S)
    finally:
        consumer.close()


def _consumer(config: Mapping[str, str], isolation: BodyIsolation) -> Consumer:
    own: dict[str, Any] = {
        "group.id": "kafkaos-bodies",  # required by the client, never used
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "isolation.level": isolation,
        "fetch.queue.backoff.ms": 10,
        "fetch.wait.max.ms": END_WAIT_MS,
        "log_level": 0,
    }
    return Consumer({**own, **config})


def _body(message: Message) -> Body:
    headers: Any = (
        message.headers() or []
    )  # pairs; the library's stubs allow a mapping too, which it never returns
    return Body(
        partition=int(message.partition() or 0),
        offset=int(message.offset() or 0),
        timestamp_ms=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=[(name, value or b"") for name, value in headers],
    )


def _text(data: bytes | str | None) -> str | dict[str, str] | None:
    if data is None or isinstance(data, str):
        return data
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
