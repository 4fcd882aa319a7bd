"""The columns of a recording: names, types, which are required, and how a stranger's table gets them."""

from __future__ import annotations

import difflib

import polars as pl

from kafkaos.errors import BrokenRecording
from kafkaos.history.rows import Op, Outcome

OPS = pl.Enum([op.name.lower() for op in Op])
OUTCOMES = pl.Enum([outcome.name.lower() for outcome in Outcome])
ISOLATIONS = pl.Enum(["uncommitted", "committed"])

SCHEMA: dict[str, pl.DataType] = {
    "client": pl.Categorical(),
    "incarnation": pl.Int32(),
    "role": pl.Categorical(),
    "group": pl.Categorical(),
    "row": pl.Int64(),
    "op": OPS,
    "topic": pl.Categorical(),
    "partition": pl.Int32(),
    "offset": pl.Int64(),
    "value": pl.Int64(),
    "key": pl.Int64(),
    "sequence": pl.Int64(),
    "transaction": pl.Int64(),
    "leader_epoch": pl.Int32(),
    "generation": pl.Int32(),
    "invoked_ns": pl.Int64(),
    "completed_ns": pl.Int64(),
    "outcome": OUTCOMES,
    "error": pl.Int16(),
    "corrupt": pl.Boolean(),
    "isolation": ISOLATIONS,
    "transactional_id": pl.Categorical(),
}
REQUIRED = ("client", "op", "topic", "partition", "offset", "value", "invoked_ns", "outcome")
ROW_KEY = ["client", "incarnation", "row"]
"""What names a row of a recording."""
NEVER_NULL = ("client", "row", "op", "invoked_ns", "outcome")

_TIMES = ("invoked_ns", "completed_ns")
_EXACT_END = 2.0**53
"""From here on two whole numbers may be one floating number: two records would have one name. A time may be rounded."""
_INTEGERS = frozenset(name for name, kind in SCHEMA.items() if kind.is_integer())


def conform(frame: pl.DataFrame, *, source: str) -> pl.DataFrame:
    """The same rows with exactly the columns of SCHEMA; columns that may be missing get their defaults.

    Raises BrokenRecording naming `source`, the column and the first value that does not fit.
    """
    for name in REQUIRED:
        if name not in frame.columns:
            near = difflib.get_close_matches(name, frame.columns, n=1)
            hint = f" (did you mean it by {near[0]}?)" if near else ""
            raise BrokenRecording(
                f"{source} has no column {name}{hint}: see docs/recording.md for the columns"
            )
    _one_run(frame, source=source)
    _no_near_names(frame, source=source)
    frame = frame.select([_cast(frame, name, source=source) for name in SCHEMA if name in frame.columns])
    frame = _with_defaults(frame)
    for name in NEVER_NULL:
        if frame[name].null_count():
            place = frame[name].is_null().arg_true()[0]
            raise BrokenRecording(f"{source} has no {name} in row {place}: this column must never be null")
    for name in ("partition", "offset"):
        low = frame[name].min()
        if isinstance(low, int) and low < 0:
            place = frame[name].arg_min()
            raise BrokenRecording(
                f"{source} has the {name} {low} in row {place}: write null where it is not known"
            )
    return frame.select(list(SCHEMA))


def _no_near_names(frame: pl.DataFrame, *, source: str) -> None:
    """Further columns are left alone, but one that is nearly ours would be missed in silence."""
    absent = [name for name in SCHEMA if name not in frame.columns]
    for name in frame.columns:
        plain = name.lower().replace("-", "_")
        near = difflib.get_close_matches(plain, absent, n=1, cutoff=0.85) if name not in SCHEMA else []
        if near:
            raise BrokenRecording(f"{source} has the column {name}: did you mean {near[0]}?")


def _one_run(frame: pl.DataFrame, *, source: str) -> None:
    if "run" in frame.columns and frame["run"].n_unique() > 1:
        first, second = frame["run"].unique(maintain_order=True)[:2]
        raise BrokenRecording(f"{source} mixes the runs {first} and {second}: keep each run in its own file")


def _cast(frame: pl.DataFrame, name: str, *, source: str) -> pl.Series:
    given = frame[name]
    wanted = SCHEMA[name]
    if given.dtype in (wanted, pl.Null):
        return given.cast(wanted)
    if name in _INTEGERS and given.dtype.is_float():
        given = given.fill_nan(None)  # what tools without nullable integers make of a column with nulls
        end = 2.0**63 if name in _TIMES else _EXACT_END
        if ((given == given.round()) & (given.abs() < end)).all():
            given = given.cast(pl.Int64)
    fits = (
        given.dtype.is_integer()
        if name in _INTEGERS
        else given.dtype == pl.Boolean
        if name == "corrupt"
        else given.dtype in (pl.String, pl.Categorical) or isinstance(given.dtype, pl.Enum)
    )
    if not fits:
        raise BrokenRecording(f"{source} has {name} as {given.dtype}: write it as {_plain(wanted)}")
    cast = given.cast(wanted, strict=False)
    bad = cast.is_null() & given.is_not_null()
    if bad.any():
        place = bad.arg_true()[0]
        known = (
            f"known are {', '.join(wanted.categories)}"
            if isinstance(wanted, pl.Enum)
            else f"it does not fit {_plain(wanted)}"
        )
        raise BrokenRecording(f"{source} has the {name} {given[place]!r} in row {place}: {known}")
    return cast


def _plain(wanted: pl.DataType) -> str:
    """A type as docs/recording.md names it."""
    if wanted == pl.Boolean:
        return "bool"
    return str(wanted).lower() if wanted.is_integer() else "string"


def _with_defaults(frame: pl.DataFrame) -> pl.DataFrame:
    """What a missing column, or a null where none may be, means; docs/recording.md says it too."""
    defaults = {
        "row": pl.int_range(pl.len()),
        # An acknowledgement at once would be invented, and others seem to have been sent after it.
        "completed_ns": pl.when(
            (pl.col("outcome") != "info") & ((pl.col("op") != "send") | (pl.col("outcome") != "ok"))
        ).then("invoked_ns"),
    }
    missing = [name for name in SCHEMA if name not in frame.columns]
    frame = frame.with_columns(
        defaults.get(name, pl.lit(None)).cast(SCHEMA[name]).alias(name) for name in missing
    )
    # A stranger's lines need not say what is ordinary: null stands for it.
    ordinary = {"incarnation": 0, "error": 0, "corrupt": False}
    return frame.with_columns(
        pl.col(name).fill_null(value) for name, value in ordinary.items() if frame[name].null_count()
    )
