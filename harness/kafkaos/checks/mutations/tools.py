"""What mutations are made of: picking a record, changing its rows, and the register."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import polars as pl

from kafkaos.checks import views
from kafkaos.history import Recording

UNSENT = 999_999_999_999_999
NUMBER = "mutations_row"  # a row's place in the table, to name single rows by


@dataclass(frozen=True, kw_only=True)
class Planted:
    """The recording with the anomaly, and what a witness of it must say."""

    recording: Recording
    expect: dict[str, Any]


Mutation = Callable[[Recording, random.Random], Planted]
MUTATIONS: dict[str, Mutation] = {}


def mutation(planter: Mutation) -> Mutation:
    """Register a mutation under its function's name."""
    MUTATIONS[planter.__name__] = planter
    return planter


def numbered(recording: Recording) -> pl.DataFrame:
    """The rows with their places in the table, by which single rows are named."""
    return recording.rows.with_row_index(NUMBER)


def pick(table: pl.DataFrame, rng: random.Random) -> dict[str, Any]:
    """One row, not of the edges: a check must find what lies in the middle."""
    return table.row(rng.randrange(table.height // 4, table.height * 3 // 4), named=True)


def acknowledged_final(recording: Recording, rng: random.Random) -> dict[str, Any]:
    """A final row (uncommitted) of a record that was acknowledged."""
    acked = views.acknowledged(recording).select("value")
    table = numbered(recording).filter((pl.col("op") == "final") & (pl.col("isolation") == "uncommitted"))
    return pick(table.join(acked, on="value", how="semi"), rng)


def final_of(row: dict[str, Any]) -> pl.Expr:
    """All final rows of a record, at both levels."""
    return pl.col("op").eq("final") & pl.col("value").eq(row["value"])


def where(row: dict[str, Any]) -> dict[str, Any]:
    """The fields of a place, as a witness has them."""
    return {name: row[name] for name in ("topic", "partition", "offset")}


def set_rows(recording: Recording, rows: pl.Expr, **columns: Any) -> Recording:
    """Write other values into the rows that match."""
    changed = [
        pl.when(rows)
        .then(pl.lit(value))
        .otherwise(pl.col(name))
        .cast(recording.rows.schema[name])
        .alias(name)
        for name, value in columns.items()
    ]
    return recording.with_rows(recording.rows.with_columns(changed))


def set_row(recording: Recording, row: dict[str, Any], **columns: Any) -> Recording:
    """Write other values into one row of `numbered`."""
    number = pl.int_range(pl.len()) == row[NUMBER]
    return set_rows(recording, number, **columns)


def insert_after(recording: Recording, row: dict[str, Any], **columns: Any) -> Recording:
    """A copy of a row, changed, as the next thing that its client did."""
    table = recording.rows
    at = row[NUMBER]
    copy = table.slice(at, 1).with_columns(
        pl.lit(value).cast(table.schema[name]).alias(name) for name, value in columns.items()
    )
    later = (pl.col("client") == row["client"]) & (pl.col("row") > row["row"])
    table = pl.concat([table, copy.with_columns(row=pl.lit(-1, dtype=pl.Int64))])
    table = table.with_columns(
        row=pl.when(pl.col("row") == -1)
        .then(row["row"] + 1)
        .when(later)
        .then(pl.col("row") + 1)
        .otherwise("row")
    )
    return recording.with_rows(table)


def free_offset(recording: Recording, topic: str, partition: int) -> int:
    """The offset behind the last record; the high watermark is moved along by `grow`."""
    here = (pl.col("topic") == topic) & (pl.col("partition") == partition)
    return int(recording.rows.filter(here & (pl.col("op") == "final"))["offset"].max()) + 1  # type: ignore[arg-type]


def grow(recording: Recording, topic: str, partition: int) -> Recording:
    """Move a partition's high watermark, and what the final reader reached, by one."""
    here = (pl.col("topic") == topic) & (pl.col("partition") == partition)
    bounds = here & pl.col("op").is_in(["log_end", "reached"])
    return recording.with_rows(
        recording.rows.with_columns(offset=pl.when(bounds).then(pl.col("offset") + 1).otherwise("offset"))
    )
