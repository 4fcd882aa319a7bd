"""Limits that brokers put on their clients: quotas, sizes, connections."""

import polars as pl
import pytest

from kafkaos.checks import (
    no_acknowledged_loss,
    no_duplicates,
    no_phantom,
    offsets_agree,
    producer_order,
)
from kafkaos.faults import Quota, RecordTooLarge, RollingRestart, TooManyConnections
from kafkaos.faults.roles import leader

WAIT_S = 120
SAFE = (no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree, producer_order)
SIZE_BYTES = 1000
QUOTA_BYTES_PER_S = 50_000
WANTED_RECORDS_PER_S = 2_000
WINDOW_S = 10
"""A broker averages over 10 s, so that each that leads for the first time lets through so much at once."""


@pytest.mark.scenario("faults-limits")
@pytest.mark.kafka_cluster("three", brokers=3)
def test_a_quota_holds_its_band_during_a_rolling_restart(kafka_cluster, chaos):
    """A producer that wants 40 times its quota gets no more and not much less, while every broker restarts."""
    topic = kafka_cluster.create_topic("narrow", config={"min.insync.replicas": "2"})
    producer = chaos.producer(
        topic, name="greedy", rate=WANTED_RECORDS_PER_S, size_bytes=SIZE_BYTES, window_records=200,
        delivery_timeout_ms=120_000,
    )  # fmt: skip
    producer.wait_acknowledged(200, timeout_s=WAIT_S)
    with (
        chaos.fault(Quota("greedy", topic, produce_bytes_per_s=QUOTA_BYTES_PER_S)),
        chaos.fault(RollingRestart()),
    ):
        producer.wait_acknowledged(200, after=producer.mark(), timeout_s=WAIT_S)
    chaos.verify(*SAFE)

    events = chaos.recording.events
    began_ns, ended_ns = (
        next(event.monotonic_ns for event in events if event.kind == kind and event.name == "quota")
        for kind in ("evidence", "heal")
    )
    within_s = (ended_ns - began_ns) / 1e9
    answered = chaos.recording.rows.filter(op="send", outcome="ok").filter(
        pl.col("completed_ns").is_between(began_ns, ended_ns)
    )
    got_bytes = answered.height * SIZE_BYTES
    brokers = len(kafka_cluster.brokers)
    assert got_bytes <= 1.2 * QUOTA_BYTES_PER_S * (within_s + brokers * WINDOW_S)
    assert got_bytes >= 0.2 * QUOTA_BYTES_PER_S * within_s


@pytest.mark.scenario("faults-limits")
@pytest.mark.kafka_cluster("single")
def test_a_record_that_is_too_large_is_surely_not_in_the_log(kafka_cluster, chaos):
    """Refused as too large at its only attempt, a send has failed for sure; the same producer goes on after."""
    topic = kafka_cluster.create_topic("small-records")
    patient = {
        "retry.backoff.ms": 5000,
        "retry.backoff.max.ms": 5000,
    }  # an answer before that is of the first attempt
    producer = chaos.producer(topic, rate=300, idempotence=False, retries=0, config=patient)
    producer.wait_acknowledged(100, timeout_s=WAIT_S)
    with chaos.fault(RecordTooLarge(topic)):
        failed = producer.failed
        producer.wait_until(lambda: producer.failed >= failed + 50, "refused 50 times", timeout_s=WAIT_S)
    producer.wait_acknowledged(100, after=producer.mark(), timeout_s=WAIT_S)
    chaos.verify(no_acknowledged_loss, no_duplicates, no_phantom, offsets_agree)


@pytest.mark.scenario("faults-limits")
@pytest.mark.kafka_cluster("single")
def test_a_broker_with_too_many_connections_serves_those_it_has(kafka_cluster, chaos):
    """Whoever is connected goes on, who comes new waits, and is served when there is room again."""
    topic = kafka_cluster.create_topic("crowded")
    connected = chaos.producer(topic, rate=300)
    connected.wait_acknowledged(100, timeout_s=WAIT_S)
    with chaos.fault(TooManyConnections(leader(topic))):
        connected.wait_acknowledged(100, after=connected.mark(), timeout_s=WAIT_S)
        late = chaos.producer(topic, name="late", rate=100)
        connected.wait_acknowledged(300, after=connected.mark(), timeout_s=WAIT_S)
        assert late.acknowledged == 0
    late.wait_acknowledged(100, timeout_s=WAIT_S)
    chaos.verify(*SAFE)
