"""B9: HTTP in, database out, with kills of everything on the way."""

import os

import pytest
from library_state import assert_in_database
from library_traffic import calling, mixed
from library_world import WAIT_S, wait_for

from kafkaos.checks import (
    at_least_once,
    bounded_rereading,
    commits_follow_work,
    no_acknowledged_loss,
    no_phantom,
    offsets_agree,
    reader_order,
)
from kafkaos.faults import Kill, KillClient
from kafkaos.faults.roles import any_broker

SAFE = (
    no_acknowledged_loss,
    no_phantom,
    offsets_agree,
    reader_order,
    commits_follow_work,
    at_least_once,
    bounded_rereading,
)
EVENTS = int(os.environ.get("KAFKAOS_LIBRARY_EVENTS", "10000")) // 4 * 4
JOIN_S = 180 + EVENTS / 50


@pytest.mark.scenario("B9")
@pytest.mark.kafka_cluster("three-mtls")
@pytest.mark.timeout(600 + EVENTS / 20)
def test_each_accepted_event_reaches_the_database_through_kills_of_broker_consumer_and_producer(
    library, postgres, databases, chaos, tell
):
    """Each accepted event is in PostgreSQL once, the last update of each stands, and duplicates do nothing."""
    library.topic()
    sends, books = databases("sends"), postgres.database()
    producer = library.producer(sends)
    consumer = library.consumer(books, concurrency=3, ack_mode="batch", batch_max=200)
    with calling(chaos, producer) as callers:
        callers.start(mixed(EVENTS // 4, callers=16))
        callers.wait_accepted(EVENTS // 20)
        # One that had read nothing has nothing to re-read when it is killed below (seen with a single broker).
        consumer.wait_event("process", timeout_s=WAIT_S)
        with chaos.fault(Kill(any_broker())):
            callers.start(mixed(EVENTS // 4, callers=16, stage=1))
            callers.wait_accepted(len(callers.accepted) + EVENTS // 50)
        with chaos.fault(KillClient("consumer")):
            callers.start(mixed(EVENTS // 4, callers=16, stage=2))
            callers.wait_accepted(len(callers.accepted) + EVENTS // 50)
        consumer.wait_ready()
        with chaos.fault(KillClient("producer")):
            callers.start(mixed(EVENTS // 4, callers=16, stage=3))
        producer.wait_ready()
        callers.join(timeout_s=JOIN_S)
        # A caller that was answered and did not hear it asks again: the same event, once more.
        again = callers.accepted[-20:]
        callers.send(*again)

    def owed():
        return sends.rows("SELECT 1 AS one FROM failed_send WHERE status = 'RETRY'")

    wait_for(lambda: not owed(), "all that was stored is sent")
    accepted = {event.event_id for event in callers.accepted}
    wait_for(lambda: accepted <= entered(books), "every accepted event in the database", timeout_s=JOIN_S)
    chaos.verify(*SAFE)
    assert_in_database(callers, books)
    assert len(accepted) == EVENTS
    effects = [event["effect"] for event in consumer.events("process")]
    assert effects.count("duplicate") >= len(again)
    stored = sends.rows("SELECT 1 AS one FROM failed_send WHERE status = 'SUCCESS'")
    tell(
        accepted=len(accepted),
        stored_as_retry=len(stored),
        replayed=len(stored),
        duplicates=effects.count("duplicate"),
        answers=dict(callers.answers),
    )


def entered(books):
    return {row["event_id"] for row in books.rows("SELECT event_id FROM processed_event")}
