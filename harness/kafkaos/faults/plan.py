"""A plan: which faults, when each begins and how long it is held. Plain JSON, so that it can be replayed.

What is left to chance (a choice, a range, a random broker, a repetition) is drawn by `Plan.expand` before the
first fault; the explicit plan is what a run stores and what `kafkaos replay` runs again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, TypeAlias, TypeVar

from kafkaos.errors import WrongUse
from kafkaos.faults import roles
from kafkaos.faults.base import Fault
from kafkaos.faults.catalog import from_json, to_json
from kafkaos.faults.values import build
from kafkaos.shipped import near

W = TypeVar("W", "Trigger", "Hold")
Count: TypeAlias = int | tuple[int, int]
Seconds: TypeAlias = float | tuple[float, float]


def _check(value: Trigger | Hold, what: str) -> None:
    given = {f.name: getattr(value, f.name) for f in fields(value) if getattr(value, f.name) is not None}
    given.pop("healthy", None)
    if len(given) > 1:
        raise WrongUse(f"a {what} has one of {' and '.join(given)}, not both: leave one out")
    for name, number in given.items():
        low, high = number if isinstance(number, tuple) else (number, number)
        if low < 0:
            raise WrongUse(f"`{name}` of a {what} cannot be negative")
        if high < low:
            raise WrongUse(
                f"`{name}` of a {what} is a range from {low} to {high}: write the smaller one first"
            )


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """When a step begins: at once, or after so many acknowledged sends, or after so many seconds.

    Both count from the end of the step before; a pair is a range from which the seed draws. Prefer a number of
    sends: it does not depend on the machine. With `healthy` the cluster must be healthy before they count.
    """

    after_acknowledged: Count | None = None
    after_s: Seconds | None = None
    healthy: bool = False

    def __post_init__(self) -> None:
        _check(self, "trigger")


@dataclass(frozen=True, kw_only=True)
class Hold:
    """How long a fault is held, from its evidence on: not at all, or as a trigger counts."""

    acknowledged: Count | None = None
    duration_s: Seconds | None = None

    def __post_init__(self) -> None:
        _check(self, "hold")


@dataclass(frozen=True)
class Step:
    """One fault with its trigger."""

    fault: Fault
    trigger: Trigger = Trigger()
    hold: Hold = Hold()

    def to_json(self) -> dict[str, Any]:
        return {"fault": to_json(self.fault), "trigger": _given(self.trigger), "hold": _given(self.hold)}


@dataclass(frozen=True)
class Serial:
    """One after the other: each begins when the one before is healed."""

    of: tuple[Node, ...]

    def to_json(self) -> dict[str, Any]:
        return {"serial": [node.to_json() for node in self.of]}


@dataclass(frozen=True)
class Parallel:
    """Side by side: triggers and holds overlap, so that a second fault can hit during the first."""

    of: tuple[Node, ...]

    def to_json(self) -> dict[str, Any]:
        return {"parallel": [node.to_json() for node in self.of]}


@dataclass(frozen=True)
class Repeat:
    """So many times, one after the other; each time drawn anew."""

    times: int
    node: Node

    def __post_init__(self) -> None:
        if not 1 <= self.times <= 1000:
            raise WrongUse(f"a repetition is done 1 to 1000 times, not {self.times}")

    def to_json(self) -> dict[str, Any]:
        return {"repeat": {"times": self.times, "node": self.node.to_json()}}


@dataclass(frozen=True)
class AnyOf:
    """One of them, drawn by the seed."""

    of: tuple[Node, ...]

    def __post_init__(self) -> None:
        if not self.of:
            raise WrongUse("`any_of` needs at least one step to choose from")

    def to_json(self) -> dict[str, Any]:
        return {"any_of": [node.to_json() for node in self.of]}


Node: TypeAlias = Step | Serial | Parallel | Repeat | AnyOf


@dataclass(frozen=True)
class Plan:
    """Steps, one after the other; each may hold others."""

    steps: tuple[Node, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"steps": [step.to_json() for step in self.steps]}

    def expand(self, rng: random.Random, *, brokers: Sequence[int]) -> Plan:
        """The explicit plan: choices made, ranges drawn, repetitions written out, random brokers named."""
        return Plan(tuple(_expand(node, rng, brokers) for node in self.steps))

    @property
    def faults(self) -> list[Fault]:
        """Every fault in it, in the order of the plan."""
        return [fault for node in self.steps for fault in _faults(node)]


def _expand(node: Node, rng: random.Random, brokers: Sequence[int]) -> Node:
    match node:
        case Serial(of):
            return Serial(tuple(_expand(child, rng, brokers) for child in of))
        case Parallel(of):
            return Parallel(tuple(_expand(child, rng, brokers) for child in of))
        case Repeat(times, child):
            return Serial(tuple(_expand(child, rng, brokers) for _ in range(times)))
        case AnyOf(of):
            return _expand(rng.choice(of), rng, brokers)
        case Step(fault, trigger, hold):
            if isinstance(getattr(fault, "target", None), roles.AnyBroker):
                fault = replace(fault, target=roles.broker(rng.choice(list(brokers))))  # type: ignore[type-var]
            return Step(fault, _drawn(trigger, rng), _drawn(hold, rng))


def _drawn(value: W, rng: random.Random) -> W:
    drawn: dict[str, int | float] = {}
    for name, number in asdict(value).items():
        if isinstance(number, tuple):
            whole = all(isinstance(end, int) for end in number)
            drawn[name] = rng.randint(*number) if whole else round(rng.uniform(*number), 3)
    return replace(value, **drawn) if drawn else value  # type: ignore[arg-type]


def _faults(node: Node) -> list[Fault]:
    match node:
        case Step(fault):
            return [fault]
        case Repeat(times, child):
            return _faults(child) * times
        case Serial(of) | Parallel(of) | AnyOf(of):
            return [fault for child in of for fault in _faults(child)]


def plan_from_json(given: Any) -> Plan:
    """The plan again; WrongUse naming what does not fit, with the near match."""
    values = _object(given, "a plan")
    steps = _list(values.get("steps", []), "`steps` of a plan")
    return build(Plan, {**values, "steps": steps}, what="a plan", built=("steps",))


def _list(given: Any, what: str) -> tuple[Node, ...]:
    if not isinstance(given, list):
        raise WrongUse(f"{what} must be a list of steps.")
    return tuple(_node(step) for step in given)


def _some(given: Any, what: str) -> tuple[Node, ...]:
    if given == []:
        raise WrongUse(f"{what} needs at least one step.")
    return _list(given, what)


def _repeat(given: Any) -> Repeat:
    values = dict(_object(given, "a repetition"))
    if "node" in values:
        values["node"] = _node(values["node"])
    return build(Repeat, values, what="a repetition", built=("node",))


# How a step that is not a fault is told from its one key.
_FORMS: dict[str, Callable[[Any], Node]] = {
    "serial": lambda given: Serial(_some(given, "`serial`")),
    "parallel": lambda given: Parallel(_some(given, "`parallel`")),
    "any_of": lambda given: AnyOf(_list(given, "`any_of`")),
    "repeat": _repeat,
}


def _node(given: Any) -> Node:
    values = _object(given, "a step")
    form = next((key for key in values if key in _FORMS), None)
    if form is not None:
        for key in values:
            if key != form:
                raise WrongUse(f"a step with `{form}` has nothing beside it: take `{key}` out.")
        return _FORMS[form](values[form])
    if "fault" not in values:
        unknown = next((key for key in values if key not in ("trigger", "hold")), None)
        if unknown is None:
            raise WrongUse(f"a step needs `fault`, or one of {', '.join(_FORMS)}: add it.")
        raise WrongUse(f"a step has no `{unknown}`{near(unknown, ['fault', 'trigger', 'hold', *_FORMS])}")
    return _step(dict(values))


def _step(values: dict[str, Any]) -> Step:
    values["fault"] = from_json(_object(values["fault"], "the fault of a step"))
    if "trigger" in values:
        values["trigger"] = _when(Trigger, values["trigger"], "a trigger")
    if "hold" in values:
        values["hold"] = _when(Hold, values["hold"], "a hold")
    return build(Step, values, what="a step", built=("fault", "trigger", "hold"))


def _when(kind: type[W], given: Any, what: str) -> W:
    # JSON has no pairs; a list of two is one.
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in _object(given, what).items()}
    return build(kind, values, what=what)


def _object(given: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise WrongUse(f"{what} must be a JSON object, not {type(given).__name__}.")
    return given


def _given(value: Trigger | Hold) -> dict[str, Any]:
    return {
        key: list(number) if isinstance(number, tuple) else number
        for key, number in asdict(value).items()
        if number is not None and number is not False
    }
