"""Purchases get the names of their products, whatever is killed (D1 to D4)."""

import itertools

import pytest

from kafkaos.checks import Status, matches_model
from kafkaos.faults import Kill, KillClient
from kafkaos.faults.roles import coordinator, leader
from purchases.shop import (
    BEGIN_MS,
    ENRICHED,
    NOTES,
    ONCE,
    PRODUCTS,
    PURCHASES,
    create_topics,
    expect_of_the_log,
    product,
    purchase,
    start,
)
from streaming.world import NEVER_S, WAIT_S, Sent

SOME = 100


def go_on(world, app):
    """Until the application has worked on SOME more purchases."""
    done = sum(line["topic"] == PURCHASES for line in app.events("process"))
    world.wait_processed(app, PURCHASES, done + SOME)


@pytest.mark.scenario("D1")
@pytest.mark.kafka_cluster("single", "three", "single-mtls", "three-mtls")
def test_the_four_purchases_of_the_notes_come_out_with_their_names(world, chaos):
    """Four purchases, one of an unknown product, give exactly the four records of the notes, as a multiset."""
    create_topics(world.cluster)
    app = start(world)
    world.write(PRODUCTS, [product(1), product(2), product(3)])
    world.wait_processed(app, PRODUCTS, 3)
    world.write(PURCHASES, [Sent(one, timestamp_ms=BEGIN_MS + 1) for one in NOTES])
    chaos.expect(
        ENRICHED,
        [
            ("2", {"id": 2, "name": "produit2", "price": 13.40}),
            ("30", {"id": 30, "name": "REF INCONNUE", "price": 1.05}),
            ("1", {"id": 1, "name": "produit1", "price": 3.40}),
            ("1", {"id": 1, "name": "produit1", "price": 3.45}),
        ],
    )
    chaos.verify(matches_model(topic=ENRICHED), ONCE)


@pytest.mark.scenario("D2")
@pytest.mark.kafka_cluster("single")
def test_a_later_name_applies_to_later_purchases_only(world, chaos):
    """A product renamed between two purchases: the first keeps the old name, also if it is read after the new one."""
    create_topics(world.cluster)
    app = start(world)
    world.write(PRODUCTS, [product(1), product(1, "renamed", at_ms=1000)])
    world.wait_processed(app, PRODUCTS, 2)
    world.write(PURCHASES, [purchase(1, 1.0, at_ms=at_ms) for at_ms in (-1, 0, 999, 1000, 5000)])
    names = ["REF INCONNUE", "produit1", "produit1", "renamed", "renamed"]
    chaos.expect(ENRICHED, [("1", {"id": 1, "name": name, "price": 1.0}) for name in names])
    chaos.verify(matches_model(topic=ENRICHED))


@pytest.mark.scenario("D3")
@pytest.mark.kafka_cluster("three-mtls")
def test_killed_it_resumes_and_without_its_state_it_restores_it_from_the_changelog(world, chaos):
    """kill -9 and again: first with the RocksDB store kept, then deleted; the names are still those of the table."""
    create_topics(world.cluster, partitions=3)
    app = start(world)
    world.write(PRODUCTS, [product(1), product(2), product(3)])
    world.wait_processed(app, PRODUCTS, 3)
    for round_, forget in enumerate((False, True)):
        world.write(PURCHASES, [purchase(1 + n % 4, n / 4, at_ms=10 + round_) for n in range(20)])
        world.wait_committed(app, PRODUCTS)
        app.kill()
        if forget:
            world.forget_state()
        world.write(PURCHASES, [purchase(1 + n % 4, n / 8, at_ms=20 + round_) for n in range(20)])
        app.restart()
        app.wait_ready(timeout_s=WAIT_S)
    assert app.incarnation == 2
    world.wait_repartitioned(app, PURCHASES)
    chaos.drain()
    assert expect_of_the_log(chaos) == 80
    chaos.verify(matches_model(topic=ENRICHED), ONCE)


@pytest.mark.scenario("D4")
@pytest.mark.kafka_cluster("three", brokers=3)
def test_each_purchase_comes_out_once_through_kills_of_the_application_and_of_brokers(world, chaos):
    """Exactly once under kill -9 of the application, the output's leader and the group's coordinator.

    The coordinator's kill stops the application (quixstreams 3.28 on librdkafka 2.12) for good unless its producer's
    idle connections are closed: `send_offsets_to_transaction` does not come back (librdkafka's issues 5511 and 5456).
    The brokers are killed last: when one is back the coordinator's seat returns to it, and an application that starts
    at that moment dies, for it asks for its committed offsets once and takes NOT_COORDINATOR for an answer.
    """
    create_topics(world.cluster, partitions=3)
    app = start(world)
    world.write(PRODUCTS, [product(number) for number in range(1, 8)])
    world.wait_processed(app, PRODUCTS, 7)
    purchases = (purchase(n % 10, n / 4, at_ms=1 + n) for n in itertools.count())
    with world.writing(PURCHASES, purchases, every_s=0.005):
        go_on(world, app)
        with chaos.fault(KillClient("purchases")):
            pass
        go_on(world, app)
        with chaos.fault(KillClient("purchases")):
            world.forget_state()
        go_on(world, app)
        for role in (leader(ENRICHED, partition=0), coordinator(group=world.group)):
            with chaos.fault(Kill(role)):
                go_on(world, app)
            world.cluster.wait_healthy(timeout_s=WAIT_S)
            go_on(world, app)
    world.wait_repartitioned(app, PURCHASES)
    chaos.drain()
    assert expect_of_the_log(chaos) >= 6 * SOME
    chaos.verify(matches_model(topic=ENRICHED), ONCE)


@pytest.mark.scenario("D4")
@pytest.mark.parametrize("guarantee", ["exactly-once", "at-least-once"])
@pytest.mark.kafka_cluster("single")
def test_a_kill_between_output_and_commit_doubles_purchases_at_least_once_and_none_exactly_once(
    world, chaos, guarantee
):
    """Killed with its outputs in the log and nothing committed: at-least-once shows each twice, its twin each once."""
    create_topics(world.cluster)
    app = start(world, STREAM_GUARANTEE=guarantee, STREAM_COMMIT_INTERVAL_S=str(NEVER_S))
    world.write(PRODUCTS, [product(1), product(2), product(3)])
    world.wait_processed(app, PRODUCTS, 3)
    world.write(PURCHASES, [Sent(one, timestamp_ms=BEGIN_MS + 1) for one in NOTES])
    app.wait_until(
        lambda: len(chaos.bodies(ENRICHED, isolation="read_uncommitted")) == len(NOTES),
        "seen with all its outputs in the log",
        timeout_s=WAIT_S,
    )
    app.kill()
    app.restart()
    world.wait_processed(app, PURCHASES, 2 * len(NOTES))
    assert app.stop() == 0
    chaos.drain()
    expect_of_the_log(chaos)
    verdicts = chaos.judge(matches_model(topic=ENRICHED), ONCE)
    if guarantee == "exactly-once":
        assert [verdict.status for verdict in verdicts] == [Status.PASS] * 2, verdicts
        return
    assert [verdict.status for verdict in verdicts] == [Status.FAIL] * 2, verdicts
    assert verdicts[1].counts["duplicated"] == len(NOTES)
    assert "it has 1 input of its kind, and output 0/" in verdicts[1].witnesses[0].sentence
