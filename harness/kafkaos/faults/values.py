"""Frozen dataclasses from JSON, strictly: what does not fit is told with the way out."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from kafkaos.errors import WrongUse
from kafkaos.shipped import near

V = TypeVar("V")


def build(kind: type[V], given: Mapping[str, Any], *, what: str, built: Collection[str] = ()) -> V:
    """A value of the dataclass `kind`; `what` names it in errors. WrongUse for whatever does not fit.

    `built` are the keys whose values the caller built itself.
    """
    hints = get_type_hints(kind)
    known = {f.name: f for f in fields(kind) if f.init}  # type: ignore[arg-type]
    for key in given:
        if key not in known:
            raise WrongUse(f"{what} has no `{key}`{near(key, list(known))}")
    for key, field in known.items():
        if key not in given and field.default is MISSING and field.default_factory is MISSING:
            raise WrongUse(f"{what} needs `{key}`: add it.")
    for key in given.keys() - set(built):
        value = given[key]
        try:
            # Whole numbers are fine where seconds are asked for, nothing else is converted.
            TypeAdapter(hints[key]).validate_python(value, strict=True)
        except ValidationError as error:
            message = error.errors(include_url=False)[0]["msg"]
            raise WrongUse(f"`{key}` of {what} does not fit ({message}): it is {value!r}.") from None
        # Python's JSON knows NaN and Infinity; what waits for such a number waits for ever, or not at all.
        numbers = value if isinstance(value, tuple) else (value,)
        if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
            raise WrongUse(f"`{key}` of {what} is {value!r}: write a finite number.")
        if key == "partition" and value < 0:
            raise WrongUse(f"`partition` of {what} is {value}: the first one is 0.")
    return kind(**given)


def lookup(table: Mapping[str, V], word: object, *, what: str) -> V:
    """The entry of a registry; WrongUse with the near match."""
    if not isinstance(word, str) or word not in table:
        raise WrongUse(f"There is no {what} `{word}`{near(str(word), sorted(table))}")
    return table[word]
