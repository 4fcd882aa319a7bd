"""Controls of consume-transform-produce: what is written twice, and what a model finds in it."""

from __future__ import annotations

import json
import sys

from confluent_kafka import Producer

from kafkaos.checks import ExactlyOnce, MatchesModel
from kafkaos.controls.control import WAIT_S, Control, Topics, create_topics
from kafkaos.controls.copier import BATCH_RECORDS, PRODUCED
from kafkaos.errors import SetupFailed
from kafkaos.faults import KillClient
from kafkaos.run import Chaos

INPUT = "input"
RECORDS = 5 * BATCH_RECORDS


def _killed_before_its_commit(chaos: Chaos) -> Topics:
    """Each copier is killed when the outputs of a batch are in the log and its offsets are not; it starts again."""
    chaos.cluster.create_topic(INPUT, replicas=(1,))
    topics = create_topics(chaos, replicas=(1,))
    records = [(str(number), {"id": number}) for number in range(RECORDS)]
    _write(chaos, records)
    for sink, mode in ((topics.weak, "at-least-once"), (topics.twin, "exactly-once")):
        chaos.expect(sink, records)
        copier = chaos.app(
            f"copier-{sink}", [sys.executable, "-m", "kafkaos.controls.copier", INPUT, sink, mode],
            topics=[INPUT, sink], reads=[INPUT], group=f"copier-{sink}",
        )  # fmt: skip
        copier.wait_event(PRODUCED, count=2, timeout_s=WAIT_S)
        with chaos.fault(KillClient(copier.name)):
            pass
        copier.wait_ready(timeout_s=WAIT_S)
    return topics


def _write(chaos: Chaos, records: list[tuple[str, dict[str, int]]]) -> None:
    producer = Producer({**chaos.cluster.client_config(), "acks": "all", "enable.idempotence": True})
    for key, value in records:
        producer.produce(INPUT, key=key, value=json.dumps(value))
    if producer.flush(WAIT_S):
        raise SetupFailed(f"the input could not be written to {INPUT}: look at the brokers' logs")


OFFSETS_OUTSIDE = Control(
    name="offsets-outside",
    weakness="outputs, then offsets committed outside of a transaction",
    safety="outputs and offsets in one transaction",
    guarantees=(ExactlyOnce(source=INPUT, sink="weak"), MatchesModel(topic="weak")),
    twin_guarantees=(ExactlyOnce(source=INPUT, sink="twin"), MatchesModel(topic="twin")),
    cluster="single",
    play=_killed_before_its_commit,
)
