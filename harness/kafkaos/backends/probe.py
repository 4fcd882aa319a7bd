"""One record sent to a cluster, to see what it makes of it: taken or refused, throttled, stamped with what time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from kafkaos.cluster import Sent
from kafkaos.errors import KafkaosError

DEADLINE_S = 15.0
LARGEST_BYTES = 100 << 20


def append_time_ms(config: Mapping[str, str], topic: str) -> int:
    """Send one record to a topic with `message.timestamp.type=LogAppendTime`; the time on its acknowledgement.

    KafkaosError where it is not acknowledged in time.
    """
    stamped: list[int] = []
    problems: list[str] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is None:
            stamped.append(message.timestamp()[1])
        else:
            problems.append(str(error))

    _send(config, topic, b"what time is it?", on_delivery=delivered)
    if not stamped:
        raise KafkaosError(f"no record of {topic} was stamped: {', '.join(problems) or 'no answer'}")
    return stamped[0]


def send_one(config: Mapping[str, str], topic: str, *, client_id: str, size_bytes: int) -> Sent:
    """Send one record as a client of this id; what became of it, and how long brokers told the client to wait."""
    errors: list[str | None] = []
    throttled_ms = [0]

    def delivered(error: KafkaError | None, _: Message) -> None:
        errors.append(None if error is None else error.name())

    def throttled(event: Any) -> None:
        throttled_ms.append(round(event.throttle_time * 1000))

    more = {"client.id": client_id, "message.max.bytes": LARGEST_BYTES, "throttle_cb": throttled}
    _send({**config, **more}, topic, bytes(size_bytes), on_delivery=delivered)
    return Sent(errors[0] if errors else "_TIMED_OUT", max(throttled_ms))


def _send(config: Mapping[str, Any], topic: str, value: bytes, *, on_delivery: Any) -> None:
    producer = Producer({**config, "log_level": 0, "message.timeout.ms": int(DEADLINE_S * 1000)})
    producer.produce(topic, value, on_delivery=on_delivery)
    producer.flush(DEADLINE_S + 1)
    producer.poll(0)
