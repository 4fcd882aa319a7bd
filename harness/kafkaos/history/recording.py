"""A run's recording: load it from a folder or a file, and archive a folder's segments as Parquet.

A folder holds `recording.json` (the run: id, seed, settings, cluster, versions, guarantees), `events.jsonl`,
and either `segments/*.seg` (as the clients wrote them) or `recording.parquet` (the archive).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from kafkaos.errors import BrokenRecording, WrongUse
from kafkaos.history.bodies import Tables, load_bodies, load_models
from kafkaos.history.events import EVENTS_FILE, Event, read_events
from kafkaos.history.parts import Parts, is_large, split
from kafkaos.history.reading import Segments, look_at_segments, read_segments
from kafkaos.history.tables import JSON_LINES, PARQUET, RUN_KEY, read_table

META_FILE = "recording.json"
ARCHIVE_FILE = "recording.parquet"
LINES_FILE = "recording.jsonl"
SEGMENTS_FOLDER = "segments"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What every client of one run saw. `rows` has the columns of docs/recording.md; times are in ns."""

    rows: pl.DataFrame
    meta: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    doubt: str = ""
    """Why nothing of this recording can be called held; empty where it is whole."""
    bodies: Tables = field(default_factory=dict)
    """Whole records by topic, of those topics whose records were kept."""
    models: Tables = field(default_factory=dict)
    """What a reference model says that a topic holds."""
    _derived: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def derive(self, name: str, compute: Callable[[], T]) -> T:
        """A table computed from the rows once and kept, so that several checks share the work."""
        if name not in self._derived:
            self._derived[name] = compute()
        found: T = self._derived[name]
        return found

    def with_rows(self, rows: pl.DataFrame) -> Recording:
        """The same run with other rows; nothing derived is taken over."""
        return replace(self, rows=rows, _derived={})

    def with_bodies(self, topic: str, table: pl.DataFrame) -> Recording:
        """The same run with other whole records of one topic."""
        return replace(self, bodies={**self.bodies, topic: table}, _derived={})


def load(path: Path) -> Recording:
    """Read a run's folder, or one .parquet or .jsonl file of anybody's making.

    Raises WrongUse where nothing is at `path`, BrokenRecording for whatever cannot be read whole.
    """
    if path.is_dir():
        return _load_folder(path)
    if not path.exists():
        raise WrongUse(f"there is no recording at {path}: name a run's folder, a .parquet or a .jsonl file")
    if path.suffix not in PARQUET + JSON_LINES:
        raise WrongUse(f"{path.name} is no recording: name a run's folder, a .parquet or a .jsonl file")
    rows, run = read_table(path)
    return Recording(rows=rows, meta={} if run is None else {"run": run})


def large_file(path: Path) -> Path | None:
    """The Parquet file at a path that `load` takes, if it has so many rows that parts of it should be judged."""
    file = path / ARCHIVE_FILE if path.is_dir() else path
    return file if file.suffix in PARQUET and file.exists() and is_large(file) else None


@contextmanager
def open_parts(path: Path) -> Iterator[tuple[Recording, Parts]]:
    """A large recording, split: without its rows, and the parts, while the block runs."""
    file = large_file(path)
    if file is None:
        raise WrongUse(f"{path} is no large Parquet recording: load it whole")
    with split(file) as parts:
        clients = parts.summary.group_by("client").agg(pl.col("rows").sum())
        counted = dict(clients.iter_rows())
        run = pl.read_parquet_metadata(file).get(RUN_KEY)
        meta = _meta_of(path, run) if path.is_dir() else {} if run is None else {"run": run}
        whole = Recording(
            rows=parts.common.clear(),
            meta=meta,
            events=_events(path) if path.is_dir() else [],
            doubt=_doubt(path, meta, counted, archived=True) if path.is_dir() else "",
            bodies=load_bodies(path) if path.is_dir() else {},
            models=load_models(path) if path.is_dir() else {},
        )
        totals = {name: int(parts.summary[name].sum()) for name in ("sent", "acknowledged", "read")}
        whole.derive("totals", lambda: totals)
        yield whole, parts


def archive(folder: Path) -> None:
    """Turn a folder's segments into `recording.parquet`, then delete them; may be killed and repeated.

    Segment by segment, so that memory does not grow with the run. All clients must have ended. Raises
    BrokenRecording and deletes nothing where a file of the folder cannot be read.
    """
    paths = _segments(folder)
    if (folder / ARCHIVE_FILE).exists():
        if doubt := _load_folder(folder).doubt:
            raise BrokenRecording(doubt)
    else:
        _write_archive(folder, look_at_segments(_some(paths, folder)))
    for path in paths:
        path.unlink()
    if (folder / SEGMENTS_FOLDER).is_dir() and not any((folder / SEGMENTS_FOLDER).iterdir()):
        (folder / SEGMENTS_FOLDER).rmdir()


def _write_archive(folder: Path, segments: Segments) -> None:
    _events(folder)  # a broken file is told before anything is written
    meta = _meta_of(folder, segments.run)
    if doubt := _doubt(folder, meta, segments.clients, archived=False):
        # A smaller count written over the noted one would hide that rows are missing.
        raise BrokenRecording(doubt)
    # The count is noted first: an archive that appears under its name always has its count to match.
    counted = {"rows": sum(segments.clients.values()), "clients": segments.clients}
    write_meta(folder, {"run": segments.run, **counted})
    draft = folder / (ARCHIVE_FILE + ".tmp")
    metadata = {RUN_KEY: segments.run}
    segments.scan().sink_parquet(draft, compression="zstd", metadata=metadata, engine="streaming")
    draft.rename(folder / ARCHIVE_FILE)


def write_meta(folder: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Add keys to the folder's `recording.json`, atomically; returns all of it."""
    meta = read_meta(folder) | dict(given)
    draft = folder / (META_FILE + ".tmp")
    draft.write_text(json.dumps(meta, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(folder / META_FILE)
    return meta


def _load_folder(folder: Path) -> Recording:
    found = [folder / name for name in (ARCHIVE_FILE, LINES_FILE) if (folder / name).exists()]
    if len(found) > 1:
        raise BrokenRecording(f"{folder} has both {ARCHIVE_FILE} and {LINES_FILE}: keep one of them")
    if found:
        rows, run = read_table(found[0])
    else:
        rows, run = read_segments(_some(_segments(folder), folder))
    meta = _meta_of(folder, run)
    return Recording(
        rows=rows,
        meta=meta,
        events=_events(folder),
        doubt=_doubt(folder, meta, rows_by_client(rows), archived=bool(found)),
        bodies=load_bodies(folder),
        models=load_models(folder),
    )


def _meta_of(folder: Path, run: str | None) -> dict[str, Any]:
    """recording.json of the folder; its run must be that of the rows."""
    meta = read_meta(folder)
    if run is None:
        return meta
    if meta.get("run", run) != run:
        raise BrokenRecording(
            f"{folder / META_FILE} is of run {meta['run']}, the rows are of run {run}: "
            "keep each run in its own folder"
        )
    return meta | {"run": run}


def rows_by_client(rows: pl.DataFrame) -> dict[str, int]:
    """How many rows each client has."""
    counted = rows.group_by(pl.col("client").cast(pl.String)).len().sort("client")
    return dict(counted.iter_rows())


def _doubt(folder: Path, meta: Mapping[str, Any], found: Mapping[str, int], *, archived: bool) -> str:
    """Why rows are known to be missing, or empty: what is left may still show a breach, and that counts."""
    again = "copy the run's folder again, whole"
    rows = sum(found.values())
    if meta.get("rows", rows) != rows:
        return f"{folder} has {rows} rows, {META_FILE} says {meta['rows']}: {again}"
    if noted := meta.get("clients"):
        for client in sorted({*noted, *found}):
            there, count = found.get(client, 0), noted.get(client, 0)
            if there != count:
                return f"{folder} has {there} rows of {client}, {META_FILE} says {count}: {again}"
    if not archived:  # each client is given its settings before it makes its segment
        started = {path.stem for path in (folder / "clients").glob("*.json")}
        lacking = sorted(started - {path.stem for path in _segments(folder)})
        if lacking:
            return f"{folder} has no segment of {lacking[0]}, which was started: {again}"
    return ""


def _segments(folder: Path) -> list[Path]:
    return sorted((folder / SEGMENTS_FOLDER).glob("*.seg"))


def _some(segments: list[Path], folder: Path) -> list[Path]:
    if not segments:
        raise BrokenRecording(
            f"{folder} has neither {ARCHIVE_FILE}, {LINES_FILE} nor segments: name the folder of a run"
        )
    return segments


def _events(folder: Path) -> list[Event]:
    path = folder / EVENTS_FILE
    return read_events(path) if path.exists() else []


def read_meta(folder: Path) -> dict[str, Any]:
    """recording.json of a run's folder; empty without one. BrokenRecording for what is no JSON object."""
    path = folder / META_FILE
    if not path.exists():
        return {}
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BrokenRecording(f"{path} is not JSON ({error}): take it from a good copy of the run") from None
    if not isinstance(meta, dict):
        raise BrokenRecording(f"{path} is not a JSON object: take it from a good copy of the run")
    rows, clients = meta.get("rows", 0), meta.get("clients", {})
    if type(rows) is not int:
        raise BrokenRecording(f"{path} has rows as {rows!r}: write how many there are, a number")
    if not isinstance(clients, dict) or any(type(count) is not int for count in clients.values()):
        raise BrokenRecording(
            f"{path} has clients as {clients!r}: write how many rows each has, as an object of numbers"
        )
    return meta
