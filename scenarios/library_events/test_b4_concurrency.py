"""B4: three listeners in one process, one partition each."""

import pytest
from library_traffic import Feed, update
from library_world import TOPIC, WAIT_S, wait_for

from kafkaos.checks import no_acknowledged_loss, no_phantom, offsets_agree, reader_order
from kafkaos.faults import KillClient


@pytest.mark.scenario("B4")
@pytest.mark.kafka_cluster("single", "three-mtls")
def test_three_listeners_in_one_process_have_one_partition_each(library, either_database, chaos):
    """Each listener owns one partition and works its records off in order, before a kill -9 and after it."""
    library.topic()
    books = either_database("books")
    consumer = library.consumer(books, concurrency=3, recovery="database")

    def owners():
        """The partitions of each listener as this incarnation said last."""
        said = {}
        for event in consumer.events():
            if event["incarnation"] == consumer.incarnation and event["name"].startswith("partitions_"):
                places = event["partitions"] if event["name"] == "partitions_assigned" else []
                said[event["listener"]] = [place["partition"] for place in places]
        return said

    def one_each():
        return sorted(owners().values()) == [[0], [1], [2]]

    wait_for(one_each, "one partition for each of three listeners")
    with Feed(chaos) as feed:
        events = [update(number % 30, number) for number in range(300)]
        feed.send(*events)
        wait_for(lambda: len(consumer.events("process")) >= 100, "100 processed records")
        with chaos.fault(KillClient("consumer")):
            pass
        consumer.wait_ready()
        wait_for(one_each, "one partition for each of three listeners after the restart")
        feed.send(*[update(number % 30, 1000 + number) for number in range(60)])
    chaos.verify(no_acknowledged_loss, no_phantom, offsets_agree, reader_order)
    wait_for(
        lambda: len(books.rows("SELECT 1 AS one FROM processed_event")) == 360, "360 events in the database"
    )
    by_listener = {}
    for event in consumer.events("process"):
        by_listener.setdefault((event["incarnation"], event["listener"]), set()).add(event["partition"])
    assert sorted(map(len, by_listener.values())) == [1] * len(by_listener)
    assert len({partition for owned in by_listener.values() for partition in owned}) == 3
    assert {event["topic"] for event in consumer.events("process")} == {TOPIC}
    assert consumer.wait_event("startup_complete", count=2, timeout_s=WAIT_S)
