"""One record offered to a cluster, to see what it makes of it: refused, throttled, stamped with what time."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from kafkaos.backends.ask import ask
from kafkaos.cluster import Offered
from kafkaos.errors import KafkaosError

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka.protocol.producer import ProduceRequest
    from kafka.record.default_records import DefaultRecordBatchBuilder

DEADLINE_S = 15.0


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


def offer(
    address: str, topic: str, partition: int, *, client_id: str, size_bytes: int, tls: ssl.SSLContext | None
) -> Offered:
    """Offer one record with a wrong checksum to a leader: its bytes count, its size is looked at, it is never appended.

    OSError where that broker does not answer.
    """
    builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, size_bytes + 1000)
    builder.append(0, 0, None, bytes(size_bytes), [])
    batch = bytearray(builder.build())
    batch[DefaultRecordBatchBuilder.CRC_OFFSET] ^= 0xFF
    kind = ProduceRequest.TopicProduceData
    data = kind.PartitionProduceData(index=partition, records=bytes(batch), version=9)
    request = ProduceRequest(
        version=9,
        transactional_id=None,
        acks=1,
        timeout_ms=int(DEADLINE_S * 1000),
        topic_data=[kind(name=topic, partition_data=[data], version=9)],
    )
    answer = ask(address, request, timeout_s=DEADLINE_S, tls=tls, client_id=client_id)
    code = answer.responses[0].partition_responses[0].error_code
    return Offered(KafkaError(code).name(), answer.throttle_time_ms)


def _send(config: Mapping[str, Any], topic: str, value: bytes, *, on_delivery: Any) -> None:
    producer = Producer({**config, "log_level": 0, "message.timeout.ms": int(DEADLINE_S * 1000)})
    producer.produce(topic, value, on_delivery=on_delivery)
    producer.flush(DEADLINE_S + 1)
    producer.poll(0)
