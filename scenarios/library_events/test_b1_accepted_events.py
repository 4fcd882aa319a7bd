"""B1: what the producer service has accepted is never lost, whatever dies when."""

import contextlib
import os

import pytest
from library_state import assert_in_database
from library_traffic import calling, mixed, update
from library_world import TOPIC, WAIT_S, wait_for

from kafkaos.checks import no_acknowledged_loss, no_phantom, offsets_agree, reader_order
from kafkaos.faults import KillAll, KillClient

SAFE = (no_acknowledged_loss, no_phantom, offsets_agree, reader_order)
EVENTS = int(os.environ.get("KAFKAOS_LIBRARY_EVENTS", "10000")) // 4 * 4
JOIN_S = 180 + EVENTS / 50
WAITING = "SELECT event_id FROM failed_send WHERE status = 'RETRY'"


@pytest.mark.scenario("B1")
@pytest.mark.kafka_cluster("three")
@pytest.mark.timeout(600 + EVENTS / 20)
def test_accepted_events_survive_too_few_replicas_a_dead_cluster_and_kills_between_the_steps(
    library, databases, chaos, tell
):
    """Failed sends are stored RETRY before the 2xx and replayed to SUCCESS; no accepted event is missing at the end."""
    library.topic()
    sends, books = databases("sends"), databases("books")
    producer = library.producer(sends, database_timeout_s=60)
    library.consumer(books, ack_mode="batch", batch_max=500, static=False)
    with calling(chaos, producer) as callers:
        callers.start(mixed(EVENTS // 4, callers=16))
        callers.wait_accepted(EVENTS // 20)
        with library.refusing():
            callers.start(mixed(EVENTS // 4, callers=16, stage=1))
            producer.wait_event("event_stored", count=5, timeout_s=WAIT_S)
        hit = killed_between_the_steps(chaos, producer, sends, callers)
        producer.wait_ready()
        callers.start(mixed(EVENTS // 4, callers=16, stage=3))
        callers.join(timeout_s=JOIN_S)

    wait_for(lambda: not sends.rows(WAITING), "all that was stored is sent")
    wait_for(
        lambda: (
            {event.event_id for event in callers.accepted}
            <= ids(books, "SELECT event_id FROM processed_event")
        ),
        "every accepted event in the database",
        timeout_s=JOIN_S,
    )
    stored = sends.rows("SELECT event_id, status FROM failed_send")
    assert {row["status"] for row in stored} == {"SUCCESS"}
    assert hit <= {event.event_id for event in callers.accepted}, "refused first, accepted when asked again"
    assert_in_database(callers, books)
    chaos.verify(*SAFE)
    assert len(callers.accepted) == EVENTS
    tell(accepted=EVENTS, stored_as_retry=len(stored), replayed=len(stored), answers=dict(callers.answers))


def killed_between_the_steps(chaos, producer, sends, callers):
    """First between failing and storing, where nobody was told 2xx, then between sending again and SUCCESS.

    A locked database holds the service up at each step. Returns the ids of the events that the first kill hit.
    """
    with contextlib.ExitStack() as dead:
        with chaos.fault(KillAll()):
            callers.start(mixed(EVENTS // 4, callers=16, stage=2))
            stored = len(producer.events("event_stored"))
            producer.wait_event("event_stored", count=stored + 5, timeout_s=WAIT_S)
            with sends.held("failed_send"):
                before = ids(sends, "SELECT event_id FROM failed_send")
                hit = producer.wait_event(
                    "producer_send_error",
                    count=3,
                    timeout_s=WAIT_S,
                    where=lambda event: event["event_id"] not in before,
                )
                dead.enter_context(chaos.fault(KillClient("producer")))
                assert ids(sends, "SELECT event_id FROM failed_send") == before
        chaos.cluster.wait_healthy(timeout_s=WAIT_S)
        with sends.held("failed_send"):
            waiting = ids(sends, WAITING)
            dead.close()  # it is started again, and finds what waits
            producer.wait_event(
                "producer_send_success", timeout_s=WAIT_S, where=lambda event: event["event_id"] in waiting
            )
            with chaos.fault(KillClient("producer")):
                assert ids(sends, WAITING) == waiting, "sent, and still RETRY: it is sent again"
    return {event["event_id"] for event in hit}


def ids(database, query):
    return {row["event_id"] for row in database.rows(query)}


@pytest.mark.scenario("B1")
@pytest.mark.kafka_cluster("single", "single-mtls")
def test_a_failed_send_is_stored_retry_answered_2xx_and_marked_success_by_the_scheduler(
    library, either_database, chaos
):
    """Cluster down: RETRY is stored when the 2xx is there; cluster up: it turns SUCCESS, and the record is there."""
    library.topic()
    sends = either_database("sends")
    producer = library.producer(sends)
    event = update(7, 1)
    with calling(chaos, producer) as callers, chaos.fault(KillAll()):
        callers.send(event)
        rows = sends.rows("SELECT event_id, topic, status FROM failed_send")
        assert rows == [{"event_id": event.event_id, "topic": TOPIC, "status": "RETRY"}]
    wait_for(lambda: not sends.rows(WAITING), "the row is a SUCCESS")
    chaos.verify(no_acknowledged_loss, no_phantom)
    assert [(body.key, body.value) for body in chaos.bodies(TOPIC)] == [(event.key, event.body)]


@pytest.mark.scenario("B1")
@pytest.mark.kafka_cluster("single")
def test_the_service_makes_its_topic_and_refuses_what_is_no_event(library, databases, chaos):
    """The topic is made at the start; no id to update, a blank name and a wrong type are a 400 with a clear text."""
    producer = library.producer(databases("sends"), topics=())
    producer.wait_event("topic_ready", timeout_s=WAIT_S)
    state = chaos.cluster.observe([TOPIC])
    assert sorted(part.partition for part in state.partitions if part.topic == TOPIC) == [0, 1, 2]
    book = {"bookId": 1, "bookName": "Kafka", "bookAuthor": "Dilip"}
    with calling(chaos, producer) as callers:
        assert callers.ask("PUT", {"libraryEventId": None, "book": book}) == (
            400,
            "Please pass the libraryEventId: an UPDATE is for an event that has one",
        )
        status, said = callers.ask("POST", {"libraryEventId": None, "book": {**book, "bookName": " "}})
        assert (status, said.split(" - ")[0]) == (400, "book.bookName")
        status, said = callers.ask("POST", {"libraryEventType": "UPDATE", "book": book})
        assert status == 400
        assert "POST a NEW event" in said
        assert callers.ask("POST", {"libraryEventType": "NEW", "book": book})[0] == 201
        assert callers.ask("PUT", {"libraryEventId": 1, "book": book})[0] == 200
    assert len(chaos.bodies(TOPIC)) == 2
    chaos.cluster.admin().delete_topics([TOPIC])[TOPIC].result(WAIT_S)
