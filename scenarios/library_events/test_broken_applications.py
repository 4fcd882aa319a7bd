"""The applications broken on purpose: each scenario must see it, and show a record that proves it."""

import pytest
from library_traffic import Feed, calling, update
from library_world import TOPIC, WAIT_S, changed_copy, wait_for

from kafkaos.checks import Status, at_least_once, commits_follow_work, no_acknowledged_loss
from kafkaos.faults import KillAll, KillClient
from kafkaos.history.payload import foreign_value


@pytest.mark.scenario("B1")
@pytest.mark.kafka_cluster("single")
def test_not_storing_a_failed_send_is_found_as_an_accepted_event_that_is_lost(
    library, databases, chaos, tmp_path
):
    """A service that answers 2xx and only logs the failed send loses what it accepted while the cluster was down."""
    library.source = changed_copy(
        tmp_path, "producer/service.py", "            await self._recovery.keep(record, failure)\n", ""
    )
    library.topic()
    producer = library.producer(databases("sends"))
    lost = update(7, 1)
    with calling(chaos, producer) as callers:
        callers.send(update(7, 0))
        with chaos.fault(KillAll()):
            callers.send(lost)
    (verdict,) = chaos.judge(no_acknowledged_loss)
    assert verdict.status is Status.FAIL
    assert {witness.client for witness in verdict.witnesses} == {"http-callers"}
    assert foreign_value(lost.key, lost.body) in {witness.value for witness in verdict.witnesses}


@pytest.mark.scenario("B3")
@pytest.mark.kafka_cluster("single")
def test_committing_before_processing_is_found_as_a_commit_ahead_of_the_work_and_a_record_left_out(
    library, databases, chaos, tmp_path
):
    """A service that commits first, killed while the database makes it wait, never does that record."""
    library.source = changed_copy(
        tmp_path,
        "consumer/listener.py",
        "            effect = self._processor.handle(record)\n",
        "            self._pending[record.partition] = record.offset + 1\n"
        "            self._acknowledge()\n"
        "            effect = self._processor.handle(record)\n",
    )
    library.topic()
    books = databases("books")
    consumer = library.consumer(books, recovery="database", database_timeout_s=60)
    skipped = update(7, 1)
    with Feed(chaos) as feed:
        feed.send(update(7, 0))
        consumer.wait_event("process", timeout_s=WAIT_S)
        committed = len(consumer.events("offsets_committed"))
        with books.held("processed_event"):
            feed.send(skipped)
            consumer.wait_event(
                "record_data", timeout_s=WAIT_S, where=lambda event: event["event_id"] == skipped.event_id
            )
            consumer.wait_event("offsets_committed", count=committed + 1, timeout_s=WAIT_S)
            with chaos.fault(KillClient("consumer")):
                pass
        consumer.wait_ready()
        feed.send(update(7, 2))
        consumer.wait_event("process", timeout_s=WAIT_S, where=lambda event: "edition 2" in event["value"])
    ahead, left_out = chaos.judge(commits_follow_work, at_least_once)
    value = foreign_value(skipped.key, skipped.body)
    for verdict in (ahead, left_out):
        assert verdict.status is Status.FAIL, verdict.sentence
        assert value in {witness.value for witness in verdict.witnesses}
    wait_for(lambda: books.rows("SELECT 1 AS one FROM processed_event"), "what was done before")
    assert {witness.topic for witness in ahead.witnesses} == {TOPIC}
