"""Targets, faults and plans are JSON and back, and tell what does not fit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kafkaos.errors import KafkaosError, SetupFailed, WrongUse
from kafkaos.faults import (
    AnyOf,
    Fault,
    Hold,
    Kill,
    KillAll,
    KillClient,
    Parallel,
    Plan,
    RecordTooLarge,
    Repeat,
    Serial,
    ShrinkIsr,
    Step,
    Trigger,
    World,
    from_json,
    plan_from_json,
    registry,
    roles,
)
from kafkaos.faults.base import told_target

KILL = {"fault": {"fault": "kill-client", "client": "a"}}
TARGETS = [
    roles.leader("orders", 2),
    roles.follower("orders"),
    roles.controller(),
    roles.coordinator(group="billing"),
    roles.coordinator(transactional_id="payments"),
    roles.broker(3),
    roles.any_broker(),
    roles.client("sender"),
]


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_a_target_is_the_same_after_json(target: roles.Target) -> None:
    """Written as JSON text and read again, a target is the same value."""
    assert roles.from_json(json.loads(json.dumps(roles.to_json(target)))) == target


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Kill(roles.leader("orders", 2)), "the leader of orders-2"),
        (KillClient("sender"), "client sender"),
        (ShrinkIsr("orders", 1), "orders-1"),
        (RecordTooLarge("orders"), "orders"),
        (KillAll(), ""),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_whom_a_fault_aims_at_is_told_in_words(fault: Fault, told: str) -> None:
    """A role, a client, a topic or partition; nothing where it is the whole cluster."""
    assert told_target(fault) == told


def test_a_plan_is_the_same_after_json() -> None:
    """Written as JSON text and read again, a plan is the same value."""
    plan = Plan(
        (
            Step(Kill(roles.leader("orders")), Trigger(after_acknowledged=500), Hold(duration_s=2.5)),
            Step(KillClient("sender", restart=False), Trigger(after_s=1), Hold(acknowledged=10)),
            Step(Kill(roles.controller())),
            Serial((Step(KillClient("sender")), Parallel((Step(Kill(roles.broker(1))),)))),
            Repeat(3, AnyOf((Step(Kill(roles.any_broker()), Trigger(after_acknowledged=(5, 9))),))),
        )
    )
    assert plan_from_json(json.loads(json.dumps(plan.to_json()))) == plan


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"fault": "kil", "target": {"role": "controller"}}, "did you mean `kill`"),
        ({"fault": "kill", "targt": {"role": "controller"}}, "did you mean `target`"),
        ({"fault": "kill"}, "needs `target`"),
        ({"fault": "kill", "target": "leader"}, "must be an object"),
        ({"fault": "kill", "target": {"role": "leadr", "topic": "t"}}, "did you mean `leader`"),
        ({"fault": "kill", "target": {"role": "leader", "topc": "t"}}, "did you mean `topic`"),
        ({"fault": "kill", "target": {"role": "leader", "topic": "t", "partition": "0"}}, "`partition`"),
        (
            {"fault": "kill", "target": {"role": "leader", "topic": "t", "partition": -3}},
            "the first one is 0",
        ),
        ({"fault": "shrink-isr", "topic": "t", "partition": -1}, "the first one is 0"),
        ({"fault": "kill", "target": {"role": "client", "name": "sender"}}, "`target`"),
        ({"fault": "kill", "target": {"role": "coordinator"}}, "give one of them"),
        ({}, "There is no fault `None`"),
    ],
)
def test_a_fault_that_does_not_fit_is_told(given: dict[str, Any], match: str) -> None:
    """Unknown words come with the near match, and wrong values with their key."""
    with pytest.raises(WrongUse, match=match):
        from_json(given)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ([], "must be a JSON object"),
        ({"step": []}, "did you mean `steps`"),
        ({"steps": {}}, "must be a list"),
        ({"steps": [{}]}, "a step needs `fault`, or one of serial"),
        ({"steps": [{"hold": {}}]}, "a step needs `fault`, or one of serial"),
        ({"steps": [{"serial": []}]}, "`serial` needs at least one step"),
        ({"steps": [{"parallel": []}]}, "`parallel` needs at least one step"),
        ({"steps": [{**KILL, "hold": {"duration_s": float("nan")}}]}, "write a finite number"),
        ({"steps": [{**KILL, "trigger": {"after_s": [1, float("inf")]}}]}, "write a finite number"),
        ({"steps": [{"parallell": []}]}, "did you mean `parallel`"),
        ({"steps": [{"serial": [], "hold": {}}]}, "take `hold` out"),
        ({"steps": [{"serial": {}}]}, "must be a list"),
        ({"steps": [{"any_of": []}]}, "at least one"),
        ({"steps": [{"repeat": {"times": 0, "node": {"serial": [KILL]}}}]}, "1 to 1000 times"),
        ({"steps": [{"repeat": {"time": 1, "node": {"serial": [KILL]}}}]}, "did you mean `times`"),
        (
            {"steps": [{"fault": {"fault": "kill-client", "client": "a"}, "trigger": {"after_s": [2, 1]}}]},
            "the smaller one first",
        ),
        (
            {"steps": [{"fault": {"fault": "kill-client", "client": "a"}, "trigger": {"after": 1}}]},
            "has no `after`",
        ),
        (
            {"steps": [{"fault": {"fault": "kill-client", "client": "a"}, "hold": {"duration_s": -1}}]},
            "negative",
        ),
        (
            {
                "steps": [
                    {
                        "fault": {"fault": "kill-client", "client": "a"},
                        "trigger": {"after_s": 1, "after_acknowledged": 1},
                    }
                ]
            },
            "not both",
        ),
    ],
)
def test_a_plan_that_does_not_fit_is_told(given: Any, match: str) -> None:
    """Each error names the place and what to change."""
    with pytest.raises(WrongUse, match=match):
        plan_from_json(given)


def test_every_fault_is_registered_under_its_own_name() -> None:
    """The word in a plan is the fault's own, and its title says what it does."""
    assert {name: kind.name for name, kind in registry.items()} == {name: name for name in registry}
    assert all(kind.title and kind.family for kind in registry.values())


def test_roles_are_resolved_when_the_fault_fires(world: World, paper: Any) -> None:
    """The same target is another broker after the leader moved."""
    target = roles.leader("orders")
    assert target.resolve(world) == 1
    paper.state = paper.made(leader=3, epoch=5, isr=(2, 3))
    assert target.resolve(world) == 3
    assert roles.follower("orders").resolve(world) == 2
    assert roles.controller().resolve(world) == 101
    assert roles.coordinator(group="g").resolve(world) == 2


def test_chance_is_the_runs_own(world: World) -> None:
    """The same seed chooses the same brokers, and never the controller."""
    state = world.rng.getstate()
    first = [roles.any_broker().resolve(world) for _ in range(20)]
    world.rng.setstate(state)
    assert [roles.any_broker().resolve(world) for _ in range(20)] == first
    assert set(first) == {1, 2, 3}


@pytest.mark.parametrize(
    ("target", "error"),
    [
        (roles.leader("nowhere"), SetupFailed),
        (roles.broker(9), WrongUse),
        (roles.broker(101), WrongUse),
        (roles.client("nobody"), WrongUse),
    ],
    ids=str,
)
def test_a_target_that_is_not_there_is_told(
    world: World, target: roles.Target, error: type[KafkaosError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role that nobody has is an error, never a silent no-op."""
    monkeypatch.setattr(roles, "RESOLVE_DEADLINE_S", 0.1)
    with pytest.raises(error):
        target.resolve(world)
