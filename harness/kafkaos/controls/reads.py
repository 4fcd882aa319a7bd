"""Controls of what readers are given: records skipped, records that nobody of the run sent."""

from __future__ import annotations

from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient

from kafkaos.checks import no_phantom, reader_order
from kafkaos.controls.control import PATIENT, WAIT_S, Control, Topics, create_topics
from kafkaos.errors import SetupFailed
from kafkaos.history import payload
from kafkaos.run import Chaos

RATE = 200.0
SOME = 20
FOREIGN_CLIENT_NUMBER = 99_999
"""A client number that no run reaches."""


def _forgotten_offsets(chaos: Chaos) -> Topics:
    """Records come in while a group is away and its committed offsets expire; it comes back."""
    topics = create_topics(chaos, replicas=(1, 2, 3))
    producers = [chaos.producer(topic, name=f"to-{topic}", rate=RATE) for topic in (topics.weak, topics.twin)]
    careless = chaos.consumer(topics.weak, name="careless", group="careless", auto_offset_reset="latest")
    careful = chaos.consumer(topics.twin, name="careful", group="careful", auto_offset_reset="earliest")
    consumers = (careless, careful)
    for consumer in consumers:
        consumer.wait_read(SOME, timeout_s=WAIT_S)
    for consumer in consumers:
        consumer.stop()
    for producer in producers:
        producer.wait_acknowledged(SOME, after=producer.mark(), timeout_s=WAIT_S)
    _forget(chaos, "careless", "careful")
    for consumer in consumers:
        consumer.start()
    for consumer in consumers:
        consumer.wait_read(SOME, after=consumer.mark(), timeout_s=WAIT_S)
    return topics


def _forget(chaos: Chaos, *groups: str) -> None:
    """Delete the committed offsets, as Kafka does after `offsets.retention.minutes` without a member."""
    admin = AdminClient({**chaos.cluster.client_config(), "log_level": 0})
    for deleted in admin.delete_consumer_groups(list(groups), request_timeout=WAIT_S).values():
        deleted.result()


def _foreign_writer(chaos: Chaos) -> Topics:
    """Somebody who is not of the run writes: one record that is no payload of ours, and one that looks like one."""
    topics = create_topics(chaos, replicas=(1, 2, 3))
    producers = [chaos.producer(topic, name=f"to-{topic}", rate=RATE) for topic in (topics.weak, topics.twin)]
    for producer in producers:
        producer.wait_acknowledged(SOME, timeout_s=WAIT_S)
    value = payload.value_id(FOREIGN_CLIENT_NUMBER, 0)
    _write(chaos, topics.weak, [b"not of this run", payload.encode(value, 0, 128)])
    return topics


def _write(chaos: Chaos, topic: str, bodies: list[bytes]) -> None:
    errors: list[KafkaError] = []
    foreign = Producer({**chaos.cluster.client_config(), "acks": "all"})
    for body in bodies:
        foreign.produce(topic, body, on_delivery=lambda error, _: errors.append(error) if error else None)
    if foreign.flush(WAIT_S) or errors:
        raise SetupFailed(
            f"the foreign records could not be written to {topic} ({errors}): look at the brokers' logs"
        )


FORGOTTEN_OFFSETS = Control(
    name="forgotten-offsets",
    weakness="auto.offset.reset=latest",
    safety="auto.offset.reset=earliest",
    guarantees=(reader_order,),
    cluster="three",
    properties=PATIENT,
    play=_forgotten_offsets,
)
FOREIGN_WRITER = Control(
    name="foreign-writer",
    weakness="a topic that somebody else writes to",
    safety="a topic of its own",
    guarantees=(no_phantom,),
    cluster="three",
    properties=PATIENT,
    play=_foreign_writer,
)
