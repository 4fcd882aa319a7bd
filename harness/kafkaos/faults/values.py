"""Frozen dataclasses from JSON, strictly: an unknown key or a value of a wrong type names itself and the way out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from kafkaos.errors import WrongUse
from kafkaos.shipped import near

V = TypeVar("V")


def build(kind: type[V], given: Mapping[str, Any], *, what: str) -> V:
    """A value of the dataclass `kind`; `what` names it in errors. WrongUse for whatever does not fit.

    Values of other kinds (a fault's target, a step's fault) must be built already.
    """
    hints = get_type_hints(kind)
    known = {f.name: f for f in fields(kind) if f.init}  # type: ignore[arg-type]
    for key in given:
        if key not in known:
            raise WrongUse(f"{what} has no `{key}`{near(key, list(known))}")
    for key, field in known.items():
        if key not in given and field.default is MISSING and field.default_factory is MISSING:
            raise WrongUse(f"{what} needs `{key}`: add it.")
    for key, value in given.items():
        try:
            # Whole numbers are fine where seconds are asked for, nothing else is converted.
            TypeAdapter(hints[key]).validate_python(value, strict=True)
        except ValidationError as error:
            message = error.errors(include_url=False)[0]["msg"]
            raise WrongUse(f"`{key}` of {what} does not fit ({message}): it is {value!r}.") from None
    return kind(**given)


def lookup(table: Mapping[str, V], word: object, *, what: str) -> V:
    """The entry of a registry; WrongUse with the near match."""
    if not isinstance(word, str) or word not in table:
        raise WrongUse(f"There is no {what} `{word}`{near(str(word), sorted(table))}")
    return table[word]
