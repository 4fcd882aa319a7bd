"""B8: the integration style of the notes, which all scenarios of this folder keep to."""

import pytest
from library_state import assert_in_database
from library_traffic import calling, new, update
from library_world import GROUP, TOPIC, WAIT_S, wait_for

from kafkaos.checks import no_acknowledged_loss, no_phantom, offsets_agree, reader_order

SAFE = (no_acknowledged_loss, no_phantom, offsets_agree, reader_order)


@pytest.mark.scenario("B8")
@pytest.mark.kafka_cluster("single", "single-mtls")
def test_a_test_waits_for_the_assignment_then_sends_then_waits_for_the_effect(
    library, either_database, chaos
):
    """All partitions are assigned before anything is sent, and the row in the database is awaited with a deadline."""
    library.topic()
    sends, books = either_database("sends"), either_database("books")
    producer, consumer = library.producer(sends), library.consumer(books)
    assigned = consumer.wait_event(
        "partitions_assigned", timeout_s=WAIT_S, where=lambda event: len(event["partitions"]) == 3
    )
    assert {place["partition"] for place in assigned[-1]["partitions"]} == {0, 1, 2}

    with calling(chaos, producer) as callers:
        callers.send(new(1), update(7, 1), update(7, 2))
    wait_for(
        lambda: len(books.rows("SELECT event_id FROM processed_event")) == 3, "three events in the database"
    )
    assert_in_database(callers, books)
    chaos.verify(*SAFE)
    assert producer.exit_status == consumer.exit_status == 0, "a stop that was asked for is no failure"
    assert (TOPIC, GROUP) == ("library-events", "library-events-listener-group")
