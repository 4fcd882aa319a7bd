"""B2: the same promise as B1, kept by a recovery topic instead of a database."""

import pytest
from confluent_kafka import Consumer
from library_traffic import calling, mixed, new
from library_world import SESSION, TOPIC, WAIT_S, wait_for

from kafkaos.checks import no_acknowledged_loss, no_phantom, offsets_agree
from kafkaos.faults import KillAll, KillClient

RECOVERY_TOPIC = "library-events.RECOVERY"
RECOVERY_GROUP = "library-events-recovery"
EVENTS = 1000


@pytest.mark.scenario("B2")
@pytest.mark.kafka_cluster("single", "three-mtls")
def test_accepted_events_survive_by_the_recovery_topic(library, databases, chaos, tell):
    """What the topic refuses is kept in the recovery topic, replayed after a kill; with nowhere to keep it: 503."""
    library.topic()
    library.cluster.create_topic(RECOVERY_TOPIC, partitions=1, config={"min.insync.replicas": "1"})
    producer = library.producer(
        databases("unused"),
        recovery="topic",
        recovery_instance_id="producer",
        topics=(TOPIC, RECOVERY_TOPIC),
        send_timeout_ms=1000,
    )
    with calling(chaos, producer) as callers:
        callers.start(mixed(EVENTS // 4, callers=8))
        callers.wait_accepted(100)
        with library.refusing():
            callers.start(mixed(EVENTS // 4, callers=8, stage=1))
            producer.wait_event("event_stored", count=10, timeout_s=WAIT_S)
            with chaos.fault(
                KillClient("producer")
            ):  # what it keeps is in the topic, its place there not committed
                pass
            producer.wait_ready()
        with chaos.fault(KillAll()):
            callers.start(mixed(EVENTS // 4, callers=8, stage=2))
            wait_for(lambda: callers.answers[503], "an event that is refused because nothing can keep it")
        callers.start(mixed(EVENTS // 4, callers=8, stage=3))
        callers.join(timeout_s=180)

    def owed():
        return {event["event_id"] for event in producer.events("event_stored")}

    def replayed():
        return {event["event_id"] for event in producer.events("event_replayed")}

    wait_for(lambda: owed() <= replayed(), "all that was kept is replayed")
    chaos.verify(no_acknowledged_loss, no_phantom, offsets_agree)
    told = chaos.bodies(TOPIC)
    ids = {dict(body.headers)["event-id"].decode() for body in told}
    assert {event.event_id for event in callers.accepted} <= ids
    tell(
        accepted=EVENTS, stored_as_retry=len(owed()), replayed=len(replayed()), answers=dict(callers.answers)
    )


@pytest.mark.scenario("B2")
@pytest.mark.kafka_cluster("single")
def test_a_service_whose_seat_in_the_recovery_group_was_taken_joins_again_and_replays(
    library, databases, chaos, tell
):
    """A static member that is fenced is done for good: the service takes a new one, and nothing that is kept stays."""
    library.topic()
    library.cluster.create_topic(RECOVERY_TOPIC, partitions=1, config={"min.insync.replicas": "1"})
    producer = library.producer(
        databases("unused"), recovery="topic", recovery_instance_id="seat", topics=(TOPIC, RECOVERY_TOPIC)
    )
    # A static member that closes keeps its seat until its session is over, and the service waits for that.
    seat = {
        "group.id": RECOVERY_GROUP,
        "group.instance.id": "seat",
        "client.id": "twin",
        "log_level": 0,
        **SESSION,
    }
    with calling(chaos, producer) as callers:
        with library.refusing():
            callers.send(*map(new, range(3)))
            wait_for(lambda: library.cluster.members(RECOVERY_GROUP), "the service is a member")
            twin = Consumer({**library.cluster.client_config(), **seat})
            twin.subscribe([RECOVERY_TOPIC])
            wait_for(lambda: twin.poll(0.1) or twin.assignment(), "the twin has the seat")
            producer.wait_event("recovery_joined_again", timeout_s=WAIT_S)
            twin.close()
        producer.wait_event("event_replayed", count=3, timeout_s=WAIT_S)
    chaos.verify(no_acknowledged_loss, no_phantom, offsets_agree)
    tell(accepted=3, replayed=len(producer.events("event_replayed")))
