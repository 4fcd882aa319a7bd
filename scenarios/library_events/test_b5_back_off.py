"""B5: back-off, the retry listener, and which exceptions are worth another try."""

import itertools

import pytest
from library_state import refused_id
from library_traffic import Feed, update
from library_world import WAIT_S, wait_for

from kafkaos.checks import no_acknowledged_loss, no_phantom, reader_order

FIXED = {"backoff": "fixed", "backoff_retries": 3, "backoff_interval_s": 0.2}
EXPONENTIAL = {
    "backoff": "exponential",
    "backoff_retries": 4,
    "backoff_initial_s": 0.1,
    "backoff_multiplier": 2.0,
    "backoff_max_s": 0.3,
}


@pytest.mark.scenario("B5")
@pytest.mark.kafka_cluster("single")
@pytest.mark.parametrize(
    ("settings", "delays_s"),
    [(FIXED, [0.2] * 3), (EXPONENTIAL, [0.1, 0.2, 0.3, 0.3])],
    ids=["fixed", "exponential"],
)
def test_each_attempt_is_seen_and_comes_after_its_pause(library, databases, chaos, settings, delays_s):
    """Attempts are bounded and spaced as configured; the retry listener sees every one; then comes the recovery."""
    library.topic()
    books = databases("books")
    consumer = library.consumer(books, retryable={"IntegrityError"}, retry_listener=False, **settings)
    with refused_id(books, 999), Feed(chaos) as feed:
        feed.send(update(999, 1), update(5, 1))
        consumer.wait_event("record_recovered", timeout_s=WAIT_S)
    attempts = consumer.events("attempt_failed")
    assert [attempt["attempt"] for attempt in attempts] == list(range(1, len(delays_s) + 2))
    assert [attempt["delay_s"] for attempt in attempts] == pytest.approx([*delays_s, 0.0])
    assert {attempt["exception"] for attempt in attempts} == {"IntegrityError"}
    gaps_s = [
        (after["timestamp"] - before["timestamp"]) / 1000 for before, after in itertools.pairwise(attempts)
    ]
    assert all(gap_s >= delay_s - 0.01 for gap_s, delay_s in zip(gaps_s, delays_s, strict=True)), gaps_s
    chaos.verify(no_acknowledged_loss, no_phantom, reader_order)
    assert [row["library_event_id"] for row in books.rows("SELECT library_event_id FROM library_event")] == [
        "5"
    ]


@pytest.mark.scenario("B5")
@pytest.mark.kafka_cluster("single")
def test_a_failure_that_passes_within_the_back_off_leaves_no_trace(library, either_database, chaos):
    """The database refuses a record for a while: it is tried again, succeeds, and nothing is recovered or skipped."""
    library.topic()
    books = either_database("books")
    consumer = library.consumer(
        books,
        retryable={"IntegrityError", "OperationalError"},
        retry_listener=False,
        backoff_retries=400,
    )
    with Feed(chaos) as feed:
        with refused_id(books, 999):
            feed.send(update(999, 1))
            consumer.wait_event("attempt_failed", count=3, timeout_s=WAIT_S)
        wait_for(
            lambda: books.rows("SELECT 1 AS one FROM library_event WHERE library_event_id = 999"),
            "record 999",
        )
    chaos.verify(no_acknowledged_loss, no_phantom, reader_order)
    assert not consumer.events("record_recovered")


@pytest.mark.scenario("B5")
@pytest.mark.kafka_cluster("single")
@pytest.mark.parametrize(
    ("lists", "attempts"),
    [
        ({"retryable": {"IntegrityError"}, "not_retryable": {"IntegrityError"}}, 1),
        ({"retryable": {"OperationalError"}}, 1),
        ({"retryable": {"DatabaseError"}}, 3),
    ],
    ids=["excluded", "unnamed", "base-class"],
)
def test_only_named_exceptions_are_tried_again(library, databases, chaos, lists, attempts):
    """The list to retry, the list not to retry (which wins), what neither names, and base classes that count."""
    library.topic()
    books = databases("books")
    settings = {"backoff_retries": 2, "backoff_interval_s": 0.05}
    consumer = library.consumer(books, retry_listener=False, **settings, **lists)
    with refused_id(books, 999), Feed(chaos) as feed:
        feed.send(update(999, 1))
        consumer.wait_event("record_recovered", timeout_s=WAIT_S)
    assert len(consumer.events("attempt_failed")) == attempts
    chaos.verify(no_acknowledged_loss, no_phantom)
