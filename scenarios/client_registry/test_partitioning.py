"""Which key keeps a client's operations in order: the hazard of the notes as a control, beside its safe twins (C3)."""

from __future__ import annotations

import pytest
from registry_model import differences, fold
from registry_world import SAFE, WAIT_S, assert_equal, operations_sent

from kafkaos.checks import Status, judge_all, key_order
from kafkaos.controls.control import only_topic

COUNT = 1500


@pytest.mark.scenario("C3")
@pytest.mark.kafka_cluster("single")
def test_the_operation_as_key_lets_a_delete_overtake_its_put(world, chaos):
    """The operation as key breaks the order of a client over 3 partitions; one partition, or the id as key, holds."""
    # A control, which must turn red, beside two twins, which must not.
    create = world.cluster.create_topic
    layouts = {
        "weak": (create("by-operation-3", partitions=3), "operation"),
        "one": (create("by-operation-1", partitions=1), "operation"),
        "by-client": (create("by-client-3", partitions=3), "client"),
    }
    # Small fetches take a little of every partition in turn, as a busy log does: deletes are short and overtake.
    small = ["fetch.message.max.bytes=2000"]
    verdicts, states, expected = {}, {}, {}
    for name, (topic, keyed_by) in layouts.items():
        writer = world.writer(topic, name=f"writer-{name}", keyed_by=keyed_by, rate=1000, count=COUNT)
        assert writer.wait_ended(timeout_s=WAIT_S) == 0
        registry = world.registry(topic, name=name, keyed_by=keyed_by, config=small)
        registry.wait_event("process", count=COUNT, timeout_s=WAIT_S)
        assert registry.stop() == 0
        states[name], expected[name] = world.clients(name), fold(operations_sent(writer))
    recording = chaos.recording
    for name, (topic, _) in layouts.items():
        (verdicts[name],) = judge_all(only_topic(recording, topic), [key_order])
    assert verdicts["weak"].status is Status.FAIL
    assert verdicts["weak"].witnesses
    told = differences(states["weak"], expected["weak"])
    assert any("is there and was deleted" in sentence for sentence in told), told
    for name in ("one", "by-client"):
        assert verdicts[name].status is Status.PASS, verdicts[name].sentence
        assert_equal(name, states[name], expected[name])
    chaos.verify(*SAFE)
