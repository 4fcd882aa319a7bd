"""B7: what fails is kept as a failure record, and replayed by a scheduler."""

import pytest
from library_state import refused_id
from library_traffic import Feed, update
from library_world import TOPIC, wait_for

from kafkaos.checks import no_acknowledged_loss, no_phantom, reader_order
from kafkaos.faults import KillClient

RECORDS = "SELECT topic, kafka_partition, kafka_offset, status, exception FROM failure_record ORDER BY status"


@pytest.mark.scenario("B7")
@pytest.mark.kafka_cluster("single", "three-mtls")
def test_failure_records_are_replayed_to_success_or_are_dead(library, either_database, chaos):
    """A refused record is RETRY, over a kill -9, until the scheduler makes it SUCCESS; a bad payload is DEAD."""
    library.topic()
    books = either_database("books")
    consumer = library.consumer(
        books, recovery="database", retryable={"IntegrityError", "OperationalError"}, backoff_retries=1
    )
    older, newer = update(999, 1), update(999, 2)
    with Feed(chaos) as feed:
        with refused_id(books, 999):
            feed.send(older, update(5, 1))
            feed.put(b"2", b"{no json")
            wait_for(lambda: len(books.rows(RECORDS)) == 2, "two failure records")
            with chaos.fault(KillClient("consumer")):
                pass
            consumer.wait_ready()
            dead, retry = books.rows(RECORDS)
            assert (dead["status"], retry["status"]) == ("DEAD", "RETRY")
            assert retry["exception"].startswith("IntegrityError")
            assert dead["exception"].startswith("InvalidEvent")
            place = next(e for e in consumer.events("record_data") if e["event_id"] == older.event_id)
            assert (retry["topic"], retry["kafka_partition"], retry["kafka_offset"]) == (
                TOPIC,
                str(place["partition"]),
                str(place["offset"]),
            )
            feed.send(newer)
            wait_for(lambda: len(books.rows(RECORDS)) == 3, "the newer update waits as well")
        wait_for(
            lambda: [row["status"] for row in books.rows(RECORDS)] == ["DEAD", "SUCCESS", "SUCCESS"],
            "both records are a SUCCESS",
        )
    (row,) = books.rows("SELECT book_name FROM library_event WHERE library_event_id = 999")
    assert row["book_name"] == newer.book_name, "the last update wins, whatever the replay's order"
    chaos.verify(no_acknowledged_loss, no_phantom, reader_order)
