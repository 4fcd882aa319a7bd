"""Files that people write: where the shipped ones lie, and reading one with an error that helps."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

from kafkaos.errors import SetupFailed, WrongUse

Kind = Literal["clusters", "ssl", "scenarios", "reports", "docs"]
M = TypeVar("M", bound=BaseModel)

_PACKAGE = Path(__file__).resolve().parent


def shipped(kind: Kind) -> Path:
    """The folder of what is shipped under that name: in the wheel, else in the source tree.

    Raises SetupFailed when neither is there.
    """
    places = (_PACKAGE / "_shipped" / kind, _PACKAGE.parents[1] / kind)
    for place in places:
        if place.is_dir():
            return place
    raise SetupFailed(
        f"The folder {kind}/ is neither at {places[0]} nor at {places[1]}; install kafkaos again, "
        "or run it from its source tree."
    )


def read_toml(path: Path, model: type[M]) -> M:
    """The file as a value of `model`; unknown keys are told with the nearest known one.

    Raises WrongUse, with the file and the key, for a missing file, broken TOML, an unknown key or a value
    that does not fit.
    """
    text = read_text(path)
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WrongUse(f"{path} is not TOML: {error}.") from None
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise WrongUse(f"{path}: {_first_problem(error, model, given)}") from None


def read_text(path: Path) -> str:
    """A file that a person named and wrote; WrongUse where there is none that can be read as UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise WrongUse(f"There is no file {path}.") from None
    except OSError as error:
        raise WrongUse(f"{path} cannot be read: {error.strerror}; name another file.") from None
    except UnicodeDecodeError as error:
        raise WrongUse(
            f"{path} is not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8."
        ) from None


def _first_problem(error: ValidationError, model: type[BaseModel], given: object) -> str:
    problem = error.errors(include_url=False)[0]
    key = ".".join(_written(problem["loc"], given, missing=problem["type"] == "missing"))
    if problem["type"] == "extra_forbidden":
        return f"there is no key `{key}`{near(str(problem['loc'][-1]), _known_beside(model, problem['loc']))}"
    if problem["type"] == "missing":
        return f"the key `{key}` is missing; add it."
    message = problem["msg"].removeprefix("Value error, ")
    return f"`{key}` does not fit: {message}." if key else f"{message}."


def _written(location: tuple[str | int, ...], given: object, *, missing: bool) -> Iterator[str]:
    """The keys of a place as the file has them: to those of a union's value pydantic adds the union's branch."""
    for number, part in enumerate(location, 1):
        there = isinstance(given, dict) and part in given
        if not there and not isinstance(part, int) and not (missing and number == len(location)):
            return
        yield str(part)
        given = given[part] if isinstance(given, dict) and there else None


def _known_beside(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """The keys known at a place inside nested tables; nothing where the path leaves plain models."""
    current: object = model
    for part in location[:-1]:
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            return []
        field = current.model_fields.get(str(part))
        current = field.annotation if field else None
    if isinstance(current, type) and issubclass(current, BaseModel):
        return sorted(current.model_fields)
    return []


def near(word: str, known: list[str], *, shown: list[str] | None = None) -> str:
    """The end of an error about an unknown word: the near match, else all there are, or those to be `shown` instead."""
    match = difflib.get_close_matches(word, known, n=1)
    if match:
        return f"; did you mean `{match[0]}`?"
    there = known if shown is None else shown
    return f"; there are: {', '.join(there)}." if there else "."
