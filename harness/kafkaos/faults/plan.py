"""A plan: which faults, when each begins and how long it is held. Plain JSON, so that it can be replayed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from kafkaos.errors import WrongUse
from kafkaos.faults.base import Fault
from kafkaos.faults.catalog import from_json, to_json
from kafkaos.faults.values import build


def _one_at_most(value: Trigger | Hold, what: str) -> None:
    numbers = {f.name: getattr(value, f.name) for f in fields(value) if getattr(value, f.name) is not None}
    if len(numbers) > 1:
        raise WrongUse(f"a {what} has one of {' and '.join(numbers)}, not both: leave one out")
    if any(number < 0 for number in numbers.values()):
        raise WrongUse(f"`{next(iter(numbers))}` of a {what} cannot be negative")


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """When a step begins: at once, or after so many acknowledged sends, or after so many seconds.

    Both count from the end of the step before. Prefer a number of sends: it does not depend on the machine.
    """

    after_acknowledged: int | None = None
    after_s: float | None = None

    def __post_init__(self) -> None:
        _one_at_most(self, "trigger")


@dataclass(frozen=True, kw_only=True)
class Hold:
    """How long a fault is held, from its evidence on: not at all, or as a trigger counts."""

    acknowledged: int | None = None
    duration_s: float | None = None

    def __post_init__(self) -> None:
        _one_at_most(self, "hold")


@dataclass(frozen=True)
class Step:
    """One fault with its trigger."""

    fault: Fault
    trigger: Trigger = Trigger()
    hold: Hold = Hold()

    def to_json(self) -> dict[str, Any]:
        return {"fault": to_json(self.fault), "trigger": _given(self.trigger), "hold": _given(self.hold)}


@dataclass(frozen=True)
class Plan:
    """Steps, one after the other."""

    steps: tuple[Step, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"steps": [step.to_json() for step in self.steps]}


def plan_from_json(given: Any) -> Plan:
    """The plan again; WrongUse naming what does not fit, with the near match."""
    values = _object(given, "a plan")
    steps = values.get("steps", [])
    if not isinstance(steps, list):
        raise WrongUse("`steps` of a plan must be a list of steps.")
    return build(
        Plan, {**values, "steps": tuple(_step(step) for step in steps)}, what="a plan", built=("steps",)
    )


def _step(given: Any) -> Step:
    values = dict(_object(given, "a step"))
    if "fault" in values:
        values["fault"] = from_json(_object(values["fault"], "the fault of a step"))
    if "trigger" in values:
        values["trigger"] = build(Trigger, _object(values["trigger"], "a trigger"), what="a trigger")
    if "hold" in values:
        values["hold"] = build(Hold, _object(values["hold"], "a hold"), what="a hold")
    return build(Step, values, what="a step", built=("fault", "trigger", "hold"))


def _object(given: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise WrongUse(f"{what} must be a JSON object, not {type(given).__name__}.")
    return given


def _given(value: Trigger | Hold) -> dict[str, Any]:
    return {key: number for key, number in asdict(value).items() if number is not None}
