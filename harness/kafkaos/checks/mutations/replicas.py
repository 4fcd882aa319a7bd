"""Anomalies of what the replicas hold on disk."""

from __future__ import annotations

import random

import polars as pl

from kafkaos.checks.mutations.tools import NUMBER, Planted, mutation, numbered, pick, set_row, where
from kafkaos.history import Recording


def _batches(recording: Recording) -> pl.DataFrame:
    """Those between the log's start and the last batch of their partition."""
    place = ["topic", "partition"]
    starts = recording.rows.filter(
        (pl.col("op") == "log_start") & (pl.col("isolation") == "uncommitted")
    ).select(*place, start="offset")
    found = numbered(recording).filter(pl.col("op") == "replica").join(starts, on=place)
    return found.filter(
        (pl.col("offset") >= pl.col("start")) & (pl.col("offset") < pl.col("offset").max().over(place))
    )


@mutation
def rewrite_a_replica(recording: Recording, rng: random.Random) -> Planted:
    """One replica holds other bytes in a batch."""
    row = pick(_batches(recording), rng)
    return Planted(recording=set_row(recording, row, value=row["value"] ^ 1), expect=where(row))


@mutation
def drop_from_a_replica(recording: Recording, rng: random.Random) -> Planted:
    """One replica lacks a batch in the middle."""
    row = pick(_batches(recording), rng)
    rows = recording.rows.filter(pl.int_range(pl.len()) != row[NUMBER])
    return Planted(recording=recording.with_rows(rows), expect={"client": row["client"], **where(row)})


@mutation
def cut_a_replica(recording: Recording, rng: random.Random) -> Planted:
    """One replica in sync lacks all from a batch on."""
    row = pick(_batches(recording), rng)
    mine = pl.all_horizontal(
        (pl.col(name) == row[name]).fill_null(False) for name in ("client", "topic", "partition")
    )
    rows = recording.rows.filter(~(mine & (pl.col("op") == "replica") & (pl.col("offset") >= row["offset"])))
    end = mine & (pl.col("op") == "replica_end")
    rows = rows.with_columns(offset=pl.when(end).then(row["offset"]).otherwise("offset"))
    return Planted(recording=recording.with_rows(rows), expect={"client": row["client"], **where(row)})
