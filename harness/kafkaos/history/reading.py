"""Segment files back to columns, with no Python work a row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from kafkaos.errors import BrokenRecording
from kafkaos.history.columns import ISOLATIONS, OPS, OUTCOMES, SCHEMA
from kafkaos.history.rows import FLAG_COMMITTED, FLAG_CORRUPT, NULL, ROW, Op, Outcome
from kafkaos.history.segment import (
    FORMAT_VERSION,
    HEAD,
    JSON_AT,
    MAGIC,
    ROWS_AT,
    STILL_OPEN,
    TOPICS_AT,
)

_KNOWN_OPS = frozenset(int(op) for op in Op)
_WITH_ISOLATION = [int(op) for op in (Op.READ, Op.FINAL, Op.LOG_START, Op.LOG_END, Op.REACHED)]
_NULLABLE = ("partition", "offset", "value", "key", "sequence", "transaction", "completed_ns")
_NULLABLE_TOO = ("leader_epoch", "generation")


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One file as found: header, topic names, the whole rows and their places in program order."""

    path: Path
    meta: dict[str, Any]
    topics: list[str]
    rows: npt.NDArray[np.void]
    places: npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Segments:
    """A run's segment files, each of which was found whole."""

    paths: list[Path]
    run: str
    clients: dict[str, int]
    """How many rows each client has that has any, by its name."""

    def scan(self) -> pl.LazyFrame:
        """All rows as columns; a file is read when its turn comes, so that a sink holds few of them at a time."""
        schema = pl.Schema(SCHEMA)
        return pl.concat([pl.defer(partial(_read, path), schema=schema) for path in self.paths])


def look_at_segments(paths: list[Path]) -> Segments:
    """Check each file, and that they belong together. Raises BrokenRecording, naming the file."""
    metas: dict[Path, dict[str, Any]] = {}
    clients: dict[str, int] = {}
    for path in paths:
        segment = read_segment(path)
        metas[path] = segment.meta
        if len(segment.rows):
            name = str(segment.meta["client"])
            clients[name] = clients.get(name, 0) + len(segment.rows)
    _belong_together(metas)
    return Segments(paths=paths, run=str(metas[paths[0]]["run"]), clients=dict(sorted(clients.items())))


def read_segments(paths: list[Path]) -> tuple[pl.DataFrame, str]:
    """All rows of a run's segments as columns, and the run's id. Raises BrokenRecording, naming the file."""
    segments = [read_segment(path) for path in paths]
    _belong_together({segment.path: segment.meta for segment in segments})
    frames = [_columns(segment) for segment in segments]
    return pl.concat(frames), str(segments[0].meta["run"])


def read_segment(path: Path) -> Segment:
    """One segment file; a row that its writer had not finished when it was killed is left out."""
    size = path.stat().st_size
    if size < ROWS_AT:
        raise BrokenRecording(f"{path} is cut off after {size} bytes: copy the run's folder again, whole")
    with path.open("rb") as file:
        head = file.read(ROWS_AT)
    magic, version, row_bytes, capacity, closed_rows, json_bytes = HEAD.unpack_from(head)
    if magic != MAGIC:
        raise BrokenRecording(
            f"{path} is not a segment of a kafkaos recording: remove it from the run's folder"
        )
    if version != FORMAT_VERSION or row_bytes != ROW.itemsize:
        raise BrokenRecording(
            f"{path} has format {version}, this kafkaos reads {FORMAT_VERSION}: use the other one"
        )
    try:
        meta = json.loads(head[JSON_AT : JSON_AT + json_bytes])
        topics = _topics(head)
    except (ValueError, IndexError):
        raise BrokenRecording(f"{path} has a broken header: copy the run's folder again") from None
    whole = ROWS_AT + capacity * row_bytes
    if size != whole and (closed_rows == STILL_OPEN or size != ROWS_AT + closed_rows * row_bytes):
        raise BrokenRecording(f"{path} is cut off after {size} bytes: copy the run's folder again, whole")
    count = (size - ROWS_AT) // row_bytes if closed_rows == STILL_OPEN else closed_rows
    rows = np.memmap(path, dtype=ROW, mode="r", offset=ROWS_AT, shape=(count,)) if count else np.empty(0, ROW)
    places = np.flatnonzero(rows["state"])
    if closed_rows != STILL_OPEN and len(places) != closed_rows:
        raise BrokenRecording(
            f"{path} has {len(places)} whole rows, its header says {closed_rows}: copy the run's folder again"
        )
    if len(places) < count:  # a copy, so only where there is something to leave out
        rows = rows[places]
    places += int(meta["part"]) * capacity
    segment = Segment(path=path, meta=meta, topics=topics, rows=rows, places=places)
    _check_rows(segment)
    return segment


def _topics(head: bytes) -> list[str]:
    names = []
    at = TOPICS_AT
    while at + 2 <= ROWS_AT and (length := int.from_bytes(head[at : at + 2], "little")):
        names.append(head[at + 2 : at + 2 + length].decode())
        at += 2 + length
    return names


def _check_rows(segment: Segment) -> None:
    rows = segment.rows
    unknown = sorted(set(np.unique(rows["op"]).tolist()) - _KNOWN_OPS)
    if unknown:
        raise BrokenRecording(
            f"{segment.path} has the unknown operation {unknown[0]}: read it with a newer kafkaos"
        )
    if len(rows) and int(rows["outcome"].max()) > max(Outcome):
        raise BrokenRecording(f"{segment.path} has an unknown outcome: read it with a newer kafkaos")
    if len(rows) and not -1 <= int(rows["topic"].min()) <= int(rows["topic"].max()) < len(segment.topics):
        raise BrokenRecording(
            f"{segment.path} names a topic that its table lacks: copy the run's folder again"
        )
    if len(rows) and int(rows["state"].max()) > 1:
        raise BrokenRecording(f"{segment.path} has a row of unknown state: copy the run's folder again")


def _belong_together(metas: Mapping[Path, Mapping[str, Any]]) -> None:
    """All of one run, and of each client every part once."""
    first, run = next((path, meta["run"]) for path, meta in metas.items())
    parts: dict[tuple[str, int, str], list[int]] = {}
    for path, meta in metas.items():
        if meta["run"] != run:
            raise BrokenRecording(
                f"{path} is of run {meta['run']}, {first.name} of run {run}: keep each run in its own folder"
            )
        parts.setdefault((meta["client"], meta["incarnation"], meta["role"]), []).append(meta["part"])
    for (client, incarnation, role), numbers in parts.items():
        if sorted(numbers) != list(range(len(numbers))):
            raise BrokenRecording(
                f"{first.parent} has the parts {sorted(numbers)} of {role} {client} (incarnation "
                f"{incarnation}), one is missing or twice there: copy the run's folder again, whole"
            )


def _named(kind: pl.Enum, numbers: npt.NDArray[Any]) -> pl.Series:
    """The names that stand at `numbers` in an enumeration."""
    return pl.Series(kind.categories, dtype=kind).gather(numbers.astype(np.uint32))


def _read(path: Path) -> pl.DataFrame:
    return _columns(read_segment(path))


def _columns(segment: Segment) -> pl.DataFrame:
    rows, meta = segment.rows, segment.meta
    flags = rows["flags"]
    topics = pl.Series([*segment.topics, None], dtype=SCHEMA["topic"])
    given: dict[str, Any] = {
        "row": segment.places,
        "op": _named(OPS, rows["op"] - 1),
        "topic": topics.gather(np.where(rows["topic"] < 0, len(segment.topics), rows["topic"])),
        "outcome": _named(OUTCOMES, rows["outcome"]),
        "corrupt": (flags & FLAG_CORRUPT) != 0,
        "isolation": _named(ISOLATIONS, (flags & FLAG_COMMITTED) != 0),
        "op_number": np.ascontiguousarray(rows["op"]),
    }
    for name in (*_NULLABLE, *_NULLABLE_TOO, "invoked_ns", "error"):
        given[name] = np.ascontiguousarray(rows[name])
    return (
        pl.DataFrame(given)
        .with_columns(
            *(pl.when(pl.col(name) != NULL).then(name).alias(name) for name in (*_NULLABLE, *_NULLABLE_TOO)),
            pl.when(pl.col("op_number").is_in(_WITH_ISOLATION)).then("isolation").alias("isolation"),
            *(
                pl.lit(meta.get(name)).cast(SCHEMA[name]).alias(name)
                for name in ("client", "incarnation", "role", "group", "transactional_id")
            ),
        )
        .select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())
    )
