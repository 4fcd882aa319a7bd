"""B6: what fails goes to the retry topic or to the dead-letter topic, with all that is known about the failure."""

import pytest
from library_state import refused_id
from library_traffic import Feed, update
from library_world import DEAD_LETTER_TOPIC, RETRY_GROUP, RETRY_TOPIC, TOPIC, WAIT_S, wait_for

from kafkaos.checks import no_acknowledged_loss, no_phantom, reader_order
from kafkaos.faults import KillClient

HEADERS = ("exception", "exception-cause", "exception-message", "exception-stacktrace")
NULL_ID = (
    b'{"libraryEventId":null,"libraryEventType":"UPDATE","book":{"bookId":1,"bookName":"a","bookAuthor":"b"}}'
)


def headers(body):
    return {name: value.decode() for name, value in body.headers}


@pytest.mark.scenario("B6")
@pytest.mark.kafka_cluster("single", "three-mtls")
def test_a_failure_goes_to_its_topic_with_its_story_and_comes_back_when_the_listener_is_on(
    library, either_database, chaos
):
    """To .RETRY what may pass, to .DLT a null id and a bad payload, all with headers; the listener brings it home."""
    library.topic()
    books = either_database("books")
    settings = {"retryable": {"IntegrityError", "OperationalError"}, "backoff_retries": 1}
    consumer = library.consumer(books, retry_listener=False, **settings)
    hurt = update(999, 1)
    with Feed(chaos) as feed:
        with refused_id(books, 999):
            feed.send(hurt, update(5, 1))
            feed.put(b"1", NULL_ID)
            feed.put(b"2", b"{no json")
            consumer.wait_event("record_recovered", count=3, timeout_s=WAIT_S)
        (retried,) = chaos.bodies(RETRY_TOPIC)
        assert (retried.key, retried.value) == (hurt.key, hurt.body)
        places = {event["event_id"]: event for event in consumer.events("record_data")}
        told, place = headers(retried), places[hurt.event_id]
        assert all(f"x-{name}" in told for name in HEADERS)
        assert told["x-exception"] == "sqlalchemy.exc.IntegrityError"
        assert told["x-exception-cause"]
        assert "refused" in told["x-exception-message"]
        assert "Traceback" in told["x-exception-stacktrace"]
        assert told["x-original-topic"] == TOPIC
        assert (told["x-original-partition"], told["x-original-offset"]) == (
            str(place["partition"]),
            str(place["offset"]),
        )
        assert int(told["x-original-timestamp"]) > 1_500_000_000_000
        dead = chaos.bodies(DEAD_LETTER_TOPIC)
        assert sorted(body.value for body in dead) == sorted([NULL_ID, b"{no json"])
        assert all(headers(body)["x-exception"].endswith("InvalidEvent") for body in dead)

        library.consumer(books, name="retrying", drained=False, **settings)
        wait_for(
            lambda: books.rows("SELECT 1 AS one FROM library_event WHERE library_event_id = 999"),
            "record 999",
        )
    chaos.verify(no_acknowledged_loss, no_phantom)
    assert RETRY_GROUP == "retry-listener-group"


@pytest.mark.scenario("B6")
@pytest.mark.kafka_cluster("single")
def test_a_record_that_can_never_succeed_does_not_circle_for_ever(library, databases, chaos):
    """Refused in every round, over a kill -9 of the service: after its rounds it lies in .DLT, told with its origin."""
    library.topic()
    books = databases("books")
    consumer = library.consumer(books, retryable={"IntegrityError"}, backoff_retries=0, retry_rounds=3)
    hurt = update(999, 1)
    with refused_id(books, 999), Feed(chaos) as feed:
        feed.send(hurt)
        consumer.wait_event("record_recovered", timeout_s=WAIT_S)
        with chaos.fault(KillClient("consumer")):
            pass
        consumer.wait_ready()
        consumer.wait_event(
            "record_recovered", timeout_s=WAIT_S, where=lambda event: event["to"] == DEAD_LETTER_TOPIC
        )
        feed.send(update(5, 1))
        wait_for(
            lambda: books.rows("SELECT 1 AS one FROM library_event WHERE library_event_id = 5"), "record 5"
        )
    chaos.verify(no_acknowledged_loss, no_phantom, reader_order)
    dead = chaos.bodies(DEAD_LETTER_TOPIC)
    assert {body.value for body in dead} == {hurt.body}
    assert {headers(body)["x-original-topic"] for body in dead} == {TOPIC}
    # One record a round; the kill may have one of them sent twice, never a fourth round.
    rounds = [headers(body)["x-retry-round"] for body in chaos.bodies(RETRY_TOPIC)]
    assert set(rounds) == {"1", "2", "3"}
