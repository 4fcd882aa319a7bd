"""A plan is drawn from the seed once, and carried out in its order, side by side where it says so."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest

from kafkaos.errors import WaitExpired, WrongUse
from kafkaos.faults import (
    AnyOf,
    Fault,
    Hold,
    Kill,
    KillClient,
    Parallel,
    Plan,
    Repeat,
    Serial,
    Step,
    Trigger,
    plan_from_json,
    roles,
)
from kafkaos.faults.conduct import Conductor

CHANCE = Plan(
    (
        Repeat(
            20,
            AnyOf(
                (
                    Step(Kill(roles.any_broker()), Trigger(after_acknowledged=(100, 900))),
                    Step(KillClient("consumer"), hold=Hold(duration_s=(0.5, 2.5))),
                )
            ),
        ),
    )
)


def test_the_seed_makes_the_plan() -> None:
    """The same seed draws the same explicit plan, another seed another one."""
    drawn = [CHANCE.expand(random.Random(seed), brokers=[1, 2, 3]) for seed in (7, 7, 8)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_an_explicit_plan_leaves_nothing_to_chance() -> None:
    """Choices, ranges, repetitions and random brokers are gone; drawn again, by any seed, it stays as it is."""
    drawn = CHANCE.expand(random.Random(1), brokers=[1, 2, 3])
    text = str(drawn.to_json())
    assert len(drawn.faults) == 20
    assert "any_" not in text
    assert "repeat" not in text
    assert drawn.expand(random.Random(2), brokers=[9]) == drawn == plan_from_json(drawn.to_json())
    waits = [step.trigger.after_acknowledged for step in _steps(drawn) if isinstance(step.fault, Kill)]
    assert waits
    assert all(100 <= wait <= 900 for wait in waits)


def _steps(plan: Plan) -> list[Any]:
    (serial,) = plan.steps
    assert isinstance(serial, Serial)
    return list(serial.of)


class Stage:
    """Takes down what a conductor does, and acknowledges one send at each look."""

    def __init__(self, *, traffic: bool = True) -> None:
        self.told: list[str] = []
        self._sends = itertools.count() if traffic else itertools.repeat(0)

    def acknowledged(self) -> int:
        return next(self._sends)

    @contextlib.contextmanager
    def fault(self, fault: Fault) -> Iterator[None]:
        name = getattr(fault, "client", "")
        self.told.append(f"inject {name}")
        if name == "broken":
            raise WrongUse("it cannot be injected")
        try:
            yield
        finally:
            self.told.append(f"heal {name}")

    def carry_out(self, *steps: Any, deadline_s: float = 5.0) -> None:
        healthy = lambda: self.told.append("healthy")  # noqa: E731
        Conductor(self.fault, self.acknowledged, healthy, deadline_s).carry_out(Plan(steps))


def step(name: str, *, after: int | None = None, held: int | None = None) -> Step:
    return Step(KillClient(name), Trigger(after_acknowledged=after), Hold(acknowledged=held))


def test_steps_follow_each_other() -> None:
    """The second is injected when the first is healed."""
    stage = Stage()
    stage.carry_out(step("a", held=3), Serial((step("b", after=2), step("c"))))
    assert stage.told == ["inject a", "heal a", "inject b", "heal b", "inject c", "heal c"]


def test_parallel_steps_overlap() -> None:
    """One begins while another is held, and each is healed at its own end."""
    stage = Stage()
    stage.carry_out(Parallel((step("long", held=60), step("short", after=10, held=2))), step("last"))
    assert stage.told == [
        "inject long",
        "inject short",
        "heal short",
        "heal long",
        "inject last",
        "heal last",
    ]


def test_a_step_can_wait_for_health() -> None:
    """Health is awaited before the fault, not after."""
    stage = Stage()
    stage.carry_out(step("a"), Step(KillClient("b"), Trigger(after_acknowledged=1, healthy=True)))
    assert stage.told == ["inject a", "heal a", "healthy", "inject b", "heal b"]


def test_what_was_injected_is_healed_when_another_branch_fails() -> None:
    """A fault that cannot be injected ends the plan; those in place are undone."""
    stage = Stage()
    with pytest.raises(WrongUse, match="cannot be injected"):
        stage.carry_out(Parallel((step("held", held=1000), step("broken", after=5))))
    assert stage.told == ["inject held", "inject broken", "heal held"]


def test_sends_that_do_not_come_are_an_error() -> None:
    """A step that waits for traffic has a deadline, and the fault under which it waited is undone."""
    stage = Stage(traffic=False)
    with pytest.raises(WaitExpired, match=r"10 acknowledged sends under kill -9 of client a"):
        stage.carry_out(step("a", held=10), deadline_s=0.1)
    assert stage.told == ["inject a", "heal a"]


@pytest.mark.parametrize("chance", [*CHANCE.steps, Step(KillClient("a"), Trigger(after_s=(1, 2)))])
def test_a_plan_with_chance_in_it_is_not_carried_out(chance: Any) -> None:
    """What a seed has not drawn yet is refused before anything is hurt."""
    stage = Stage()
    with pytest.raises(WrongUse, match="expand it by a seed"):
        stage.carry_out(chance)
    assert stage.told == []
