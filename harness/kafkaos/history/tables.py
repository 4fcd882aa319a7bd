"""Recordings as tables that anybody may write: Parquet and JSON lines, held to docs/recording.md."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from pathlib import Path

import polars as pl

from kafkaos.errors import BrokenRecording
from kafkaos.history.columns import ROW_KEY, conform
from kafkaos.history.sound import refuse_contradictions

RUN_KEY = "kafkaos.run"
PARQUET = (".parquet",)
JSON_LINES = (".jsonl", ".ndjson")


def read_table(path: Path) -> tuple[pl.DataFrame, str | None]:
    """The rows, and the run's id where the file has one. Raises BrokenRecording, naming the file."""
    if path.stat().st_size == 0:
        raise BrokenRecording(f"{path} is empty: record the run again")
    try:
        if path.suffix in PARQUET:
            frame = pl.read_parquet(path)
            run = pl.read_parquet_metadata(path).get(RUN_KEY)
        else:
            frame, run = _read_lines(path), None
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BrokenRecording(f"{path} cannot be read ({reason}): copy or record it again") from None
    rows = conform(frame, source=str(path))
    if run is None:
        # Rows of our own archives are numbered by the program; others may be two recordings in one file.
        _each_row_once(frame, rows, path)
        refuse_contradictions(rows, numbered="row" in frame.columns, source=str(path))
    if "run" in frame.columns and frame.height and frame["run"][0] is not None:
        run = str(frame["run"][0])
    return rows, run


def _read_lines(path: Path) -> pl.DataFrame:
    """One JSON object a line; a line that is none, the last and cut one included, is named in the error."""
    with path.open("rb") as file:
        marked = file.read(len(BOM_UTF8)) == BOM_UTF8  # as some tools begin a file
        file.seek(len(BOM_UTF8) if marked else 0)
        lines = sum(1 for line in file if line.strip())
    if not lines:
        raise BrokenRecording(f"{path} has no rows, only blank lines: record the run again")
    try:
        source = path.read_bytes()[len(BOM_UTF8) :] if marked else path
        frame = pl.read_ndjson(source, infer_schema_length=None)
    except pl.exceptions.PolarsError:
        _name_the_bad_line(path)
        raise
    if lines != frame.height:
        _name_the_bad_line(path)
        raise BrokenRecording(
            f"{path} has {lines} lines but {frame.height} rows: write one JSON object a line"
        )
    return frame


def _name_the_bad_line(path: Path) -> None:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                given = json.loads(line, parse_constant=_no_json)
            except ValueError as error:
                raise BrokenRecording(
                    f"{path} has a broken line {number} ({error}): write it again, whole"
                ) from None
            except RecursionError:
                raise BrokenRecording(
                    f"{path} has values nested too deep in line {number}: leave them out"
                ) from None
            if not isinstance(given, dict):
                raise BrokenRecording(f"{path} has no JSON object in line {number}: write one object a line")


def _no_json(name: str) -> None:
    raise ValueError(f"{name} is no JSON value, write null where a number is not known")


def _each_row_once(given: pl.DataFrame, rows: pl.DataFrame, path: Path) -> None:
    if "row" not in given.columns:
        return
    twice = rows.select(ROW_KEY).filter(pl.struct(ROW_KEY).is_duplicated())
    if twice.height:
        first = twice.row(0, named=True)
        raise BrokenRecording(
            f"{path} has row {first['row']} of {first['client']} (incarnation {first['incarnation']}) more than once: "
            "keep each recording in a file of its own, and number the rows of a client's incarnation"
        )
