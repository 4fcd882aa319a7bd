"""Whole records and what a model expects, as a run keeps them beside its rows: `bodies/` and `models/`, JSON lines.

Rows name a record by a number; what an application made of its input shows only in keys and values. Both folders
have one file a topic. A key, and the value of a body, is text, null, or {"base64": …} where it is no UTF-8; the value
of a model's line is any JSON value.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import polars as pl

from kafkaos.errors import BrokenRecording, WrongUse

BODIES_FOLDER: Final = "bodies"
MODELS_FOLDER: Final = "models"
BODY_SCHEMA: Final = {"partition": pl.Int32, "offset": pl.Int64, "key": pl.String, "value": pl.String}
MODEL_SCHEMA: Final = {"key": pl.String, "value": pl.String}

Expected = tuple[str | None, Any]
Tables = dict[str, pl.DataFrame]


def canonical(value: Any) -> str:
    """The one text of a JSON value: keys sorted, no spaces, numbers by value (13.40 is 13.4, and 1.0 is 1)."""
    return json.dumps(_whole(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(one) for one in value]
    return value


def canonical_text(text: Any) -> str:
    """The same of a record's value as it was kept; what is no JSON becomes a text that no JSON value has."""
    if text is None:
        return "no value"
    try:
        return canonical(json.loads(text))
    except (TypeError, ValueError, RecursionError):
        return f"not JSON: {text}"


def write_model(records: Iterable[Expected], path: Path) -> None:
    """Write what a topic is to hold, one (key, JSON value) a line; None as value is a record without one (tombstone).

    Raises WrongUse for a value that JSON has no word for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for key, value in records:
        try:
            lines.append(json.dumps({"key": key, "value": value}, ensure_ascii=False, allow_nan=False) + "\n")
        except (TypeError, ValueError) as error:
            raise WrongUse(f"a model's value must be plain JSON, {value!r} is not: {error}") from None
    path.write_text("".join(lines), encoding="utf-8")


def load_bodies(folder: Path) -> Tables:
    """The topics of `folder/bodies`, in BODY_SCHEMA with canonical values; BrokenRecording names file and line."""
    return _tables(folder / BODIES_FOLDER, _body, BODY_SCHEMA)


def load_models(folder: Path) -> Tables:
    """The topics of `folder/models`, in MODEL_SCHEMA with canonical values; BrokenRecording names file and line."""
    return _tables(folder / MODELS_FOLDER, _expected, MODEL_SCHEMA)


def _body(line: dict[str, Any]) -> tuple[Any, ...]:
    partition, offset = line["partition"], line["offset"]
    for number, bits in ((partition, 31), (offset, 63)):
        if type(number) is not int or number < 0 or number >> bits:
            raise ValueError(f"partition and offset are whole numbers from 0, {number!r} is none")
    return partition, offset, _key(line), canonical_text(_decoded(line["value"]))


def _expected(line: dict[str, Any]) -> tuple[Any, ...]:
    value = line["value"]
    return _key(line), canonical_text(None) if value is None else canonical(value)


def _key(line: dict[str, Any]) -> str | None:
    key = _decoded(line.get("key"))
    return canonical(key) if isinstance(key, dict) else key


def _decoded(given: Any) -> str | dict[str, str] | None:
    """Bytes are what they say, however they were written: only what is no UTF-8 stays in base64."""
    if given is None or isinstance(given, str):
        return given
    if not isinstance(given, dict) or [*given] != ["base64"]:
        raise ValueError(f'keys, and values of records, are text, null or {{"base64": …}}, {given!r} is none')
    try:
        return base64.b64decode(given["base64"], validate=True).decode()
    except UnicodeDecodeError:
        return given


def _tables(
    folder: Path, parse: Callable[[dict[str, Any]], tuple[Any, ...]], schema: dict[str, Any]
) -> Tables:
    return {
        path.stem: pl.DataFrame(_lines(path, parse), schema=schema, orient="row")
        for path in sorted(folder.glob("*.jsonl"))
    }


def _lines(path: Path, parse: Callable[[dict[str, Any]], tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    found = []
    try:
        texts = path.read_text(encoding="utf-8").split("\n")  # splitlines would cut at U+2028 within a value
    except UnicodeDecodeError as error:
        raise BrokenRecording(f"{path} is not UTF-8 ({error}): write it as JSON lines in UTF-8") from None
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            continue
        try:
            found.append(parse(json.loads(text)))
        except (TypeError, ValueError, KeyError, RecursionError) as error:
            raise BrokenRecording(
                f"{path} is broken in line {number} ({type(error).__name__}: {error}): copy the run's folder again"
            ) from None
    return found
