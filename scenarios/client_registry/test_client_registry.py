"""The client registry: its database is the fold of a log, whatever is killed (C1, C2)."""

from __future__ import annotations

import json

import pytest
from registry_model import fold
from registry_world import (
    SAFE,
    SOME,
    WAIT_S,
    assert_equal,
    clients_over_http,
    follows_the_log,
    health,
    kill_and_rebuild,
    operation_of,
    wait_for_the_end,
)

from kafkaos.checks import key_order, one_owner
from kafkaos.faults import KillClient, PauseClient


@pytest.mark.scenario("C1")
@pytest.mark.kafka_cluster("single", "single-mtls", "three", "three-mtls")
def test_a_registry_that_lost_its_database_builds_the_same_one_from_the_log(world, chaos):
    """Killed, and killed with its database deleted, the registry equals the fold of the log after every record."""
    kill_and_rebuild(world)
    chaos.verify(*SAFE, one_owner, key_order)


@pytest.mark.scenario("C2")
@pytest.mark.kafka_cluster("single", "three-mtls")
def test_two_registries_converge(world, chaos):
    """Two instances, one killed, one frozen and one begun from nothing on the way, come to hold the same clients."""
    topic = world.cluster.create_topic("clients")
    writer = world.writer(topic)
    first, second = (world.registry(topic, name=name) for name in ("first", "second"))
    first.wait_event("process", count=SOME, timeout_s=WAIT_S)
    with chaos.fault(KillClient("first")), chaos.fault(PauseClient("second")):
        sent = len(writer.events("producer_send_success"))
        writer.wait_event("producer_send_success", count=sent + SOME, timeout_s=WAIT_S)
    first.wait_ready(timeout_s=WAIT_S)
    third = world.registry(topic, name="third")
    assert writer.stop() == 0
    log = chaos.bodies(topic)
    expected = fold(map(operation_of, log))
    for instance in (first, second, third):
        wait_for_the_end(instance, log)
        follows_the_log(instance, log)
        instance.wait_until(
            lambda: health(instance)["positions"] == {"0": log[-1].offset + 1},  # noqa: B023 (waited for here)
            "healthy at the end of the log",
            timeout_s=WAIT_S,
        )
        assert clients_over_http(instance) == {client: json.loads(body) for client, body in expected.items()}
        assert_equal(instance.name, world.clients(instance.name), expected)
    assert len({health(instance)["fingerprint"] for instance in (first, second, third)}) == 1
    chaos.verify(*SAFE, one_owner, key_order)


@pytest.mark.kafka_cluster("single")
def test_what_is_no_operation_is_logged_as_an_error_and_skipped(world, chaos):
    """Another key is logged as an error and skipped: the registry goes on behind it."""
    topic = world.cluster.create_topic("clients")
    writer = world.writer(topic, count=SOME, rate=2000)
    assert writer.wait_ended(timeout_s=WAIT_S) == 0
    registry = world.registry(topic)
    log = chaos.bodies(topic)
    strange = [body.offset for body in log if body.key == b"CLIENT-MERGE"]
    assert strange
    wait_for_the_end(registry, log)
    assert [event["offset"] for event in registry.events("skipped")] == strange
    errors = [line for line in registry.log_path.read_text().splitlines() if " ERROR " in line]
    assert len(errors) == len(strange)
    assert f"{topic}-0 at {strange[0]} skipped: there is no operation 'CLIENT-MERGE'" in errors[0]
    follows_the_log(registry, log)
    chaos.verify(*SAFE, one_owner, key_order)
