"""Averages of visits over sliding windows of event time, and what commits do to a reader (E1 to E4)."""

import random

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from kafkaos.checks import matches_model
from streaming.world import WAIT_S
from visits.pages import VISITS, create_topics, expect_of_the_log, some_visits, start, visit


@pytest.mark.scenario("E1")
@pytest.mark.kafka_cluster("single", "three", "single-mtls", "three-mtls")
def test_the_averages_equal_the_model_with_late_and_unordered_visits(world, chaos):
    """Average: visits in [t-length, t] / length, of 30 s, 1 min, 5 min; a late visit corrects the averages after it."""
    create_topics(world.cluster)
    app = start(world)
    world.write(VISITS, some_visits(random.Random(chaos.seed), 150))
    world.wait_processed(app, VISITS, 150)
    chaos.drain()
    assert expect_of_the_log(chaos) == 150
    assert app.events("late_visit"), "no visit was too late, so that was not tried"
    chaos.verify(matches_model())


@pytest.mark.scenario("E3")
@pytest.mark.kafka_cluster("three")
def test_killed_in_the_middle_of_a_window_it_goes_on_with_the_right_sums(world, chaos):
    """kill -9 within the windows, local state kept, then deleted: the sums are those of all visits, each once."""
    create_topics(world.cluster)
    visits = some_visits(random.Random(chaos.seed), 120, late=False)
    app = start(world)
    for number, forget in enumerate((False, True)):
        done = len(app.events("process"))
        world.write(VISITS, visits[number * 40 : number * 40 + 40])
        world.wait_processed(app, VISITS, done + 10)
        app.kill()
        if forget:
            world.forget_state()
        app.restart()
    world.write(VISITS, visits[80:])
    chaos.drain()
    assert expect_of_the_log(chaos) == 120
    chaos.verify(matches_model())


@pytest.mark.scenario("E4")
@pytest.mark.kafka_cluster("single")
def test_a_url_stays_in_its_partition_across_a_restart_of_the_producer(world, chaos):
    """Keyed by url, each url has one partition, before and after the producer is replaced, and all are spread."""
    world.cluster.create_topic(VISITS, partitions=3)
    urls = [f"/store/{number}" for number in range(30)]
    for round_ in range(2):  # a new producer each
        world.write(VISITS, [visit(round_ * 100 + n, url, n) for n, url in enumerate(urls)])
    places = {}
    for body in chaos.bodies(VISITS):
        places.setdefault(body.key.decode(), []).append(body.partition)
    assert set(places) == set(urls)
    assert all(len(found) == 2 and len(set(found)) == 1 for found in places.values()), places
    assert {found[0] for found in places.values()} == {0, 1, 2}


class Reading:
    """A consumer of `visits` with `enable.auto.commit=false`."""

    def __init__(self, world, group):
        self._consumer = Consumer(
            {
                **world.cluster.client_config(),
                "group.id": f"{world.group}-{group}",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
            }
        )

    def offsets(self, *, commit=False, seek=False):
        """Read to the end of the only partition; `seek`: from the beginning again when the end was reached."""
        self._consumer.subscribe([VISITS])
        found = []
        try:
            while (message := self._consumer.poll(WAIT_S)) is not None:
                if message.error() is None:
                    found.append(message.offset())
                    if commit:
                        self._consumer.commit(message, asynchronous=False)
                elif seek:
                    seek = False
                    self._consumer.seek(TopicPartition(VISITS, 0, OFFSET_BEGINNING))
                else:
                    return found
            raise AssertionError(f"the end of {VISITS} was not reached within {WAIT_S} s")
        finally:
            self._consumer.close()


@pytest.mark.scenario("E2")
@pytest.mark.kafka_cluster("single")
def test_what_is_read_again_is_what_was_not_committed_in_this_group(world):
    """No commit: all again; a commit after each: nothing again; another group.id, or a seek: all again."""
    world.cluster.create_topic(VISITS)
    world.write(VISITS, [visit(number, "/home", number) for number in range(10)])
    every = list(range(10))
    assert [Reading(world, "never").offsets() for _ in range(2)] == [every, every]
    assert [Reading(world, "each").offsets(commit=True) for _ in range(2)] == [every, []]
    assert Reading(world, "other").offsets() == every
    assert Reading(world, "each").offsets(seek=True) == every
