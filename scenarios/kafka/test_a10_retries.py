"""A10: `retries` and `retry.backoff.ms`: attempts are made, spaced and bounded."""

import json
import time
from dataclasses import dataclass, field

import pytest
from confluent_kafka import KafkaError, Producer

from kafkaos.faults import ViolateMinIsr

WAIT_S = 120
BACKOFF_MS = 400
LIMIT_MS = 6000
LOOK_EVERY_MS = 10
# librdkafka takes up to a fifth off or adds it, so that many clients do not come back at once.
JITTER = 0.2
REFUSALS = {KafkaError.NOT_ENOUGH_REPLICAS, KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND}


@dataclass
class Attempts:
    """What one record's producer did, by librdkafka's own counters."""

    error: int | None = None
    ended: bool = False
    took_s: float = 0.0
    seen_us: list[int] = field(default_factory=list)
    """When (librdkafka's clock) each request was first counted: it was made at most then."""
    not_yet_us: list[int] = field(default_factory=list)
    """When it was last looked for and not counted yet: it was made at least then."""
    looked_us: int = 0

    @property
    def gaps_ms(self) -> list[float]:
        """Between two requests, at most: however late a look was."""
        return [
            (after - before) / 1000 for before, after in zip(self.not_yet_us, self.seen_us[1:], strict=False)
        ]


@pytest.mark.scenario("A10")
@pytest.mark.kafka_cluster("three", brokers=3)
def test_attempts_are_made_spaced_and_bounded_by_number_and_by_time(kafka_cluster, chaos, record_property):
    """A refusal that may pass is tried again `retries` times, `retry.backoff.ms` apart, until the time limit at most.

    With 0 retries there is one attempt; with 3 there are four; with no bound the record's time limit ends it.
    """
    topic = kafka_cluster.create_topic("orders", config={"min.insync.replicas": "2"})
    with chaos.fault(ViolateMinIsr(topic)):
        once = _send(kafka_cluster, topic, retries=0)
        bounded = _send(kafka_cluster, topic, retries=3)
        by_time = _send(kafka_cluster, topic, retries=1_000_000, limit_ms=LIMIT_MS)
    record_property("gaps_ms", bounded.gaps_ms)

    assert len(once.seen_us) == 1
    assert once.error in REFUSALS
    assert len(bounded.seen_us) == 4
    assert bounded.error in REFUSALS
    assert all(gap >= BACKOFF_MS * (1 - JITTER) for gap in bounded.gaps_ms)
    assert by_time.error == KafkaError._MSG_TIMED_OUT
    assert 3 <= len(by_time.seen_us) <= LIMIT_MS / (BACKOFF_MS * (1 - JITTER)) + 1
    kafka_cluster.wait_healthy(timeout_s=WAIT_S)
    # Once the replicas are back the same settings deliver.
    assert _send(kafka_cluster, topic, retries=3).error is None


def _send(cluster, topic: str, *, retries: int, limit_ms: int = 30_000) -> Attempts:
    """One record with so many retries, until it is delivered or given up."""
    made = Attempts()

    def counted(text: str) -> None:
        told = json.loads(text)
        requests = sum(broker["req"].get("Produce", 0) for broker in told["brokers"].values())
        new = requests - len(made.seen_us)
        made.seen_us += [told["ts"]] * new
        made.not_yet_us += [made.looked_us] * new
        made.looked_us = told["ts"]

    def answered(error, _message) -> None:
        made.error = None if error is None else error.code()
        made.ended = True

    producer = Producer(
        {
            **cluster.client_config(),
            "acks": "all",
            "linger.ms": 0,
            "retries": retries,
            "retry.backoff.ms": BACKOFF_MS,
            "retry.backoff.max.ms": BACKOFF_MS,
            "message.timeout.ms": limit_ms,
            "request.timeout.ms": 1000,
            "statistics.interval.ms": LOOK_EVERY_MS,
            "stats_cb": counted,
        }
    )
    producer.list_topics(topic, timeout=WAIT_S)
    began = time.monotonic()
    producer.produce(topic, b"one", on_delivery=answered)
    while not made.ended and time.monotonic() < began + WAIT_S:
        producer.poll(0.05)
    made.took_s = time.monotonic() - began
    assert made.ended
    producer.poll(0.1)
    return made
