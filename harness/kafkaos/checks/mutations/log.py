"""Anomalies in the log as the final reader finds it."""

from __future__ import annotations

import random
from typing import Any

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.mutations.tools import (
    UNSENT,
    Planted,
    acknowledged_final,
    final_of,
    free_offset,
    grow,
    insert_after,
    mutation,
    pick,
    set_rows,
    where,
)
from kafkaos.history import Recording


@mutation
def drop_final(recording: Recording, rng: random.Random) -> Planted:
    """An acknowledged record is not in the log at the end."""
    row = acknowledged_final(recording, rng)
    return Planted(
        recording=recording.with_rows(recording.rows.filter(~final_of(row))),
        expect={"value": row["value"], **where(row)},
    )


@mutation
def drop_committed(recording: Recording, rng: random.Random) -> Planted:
    """An acknowledged record is in the log, but readers of committed records are not given it."""
    ends = views.committed_log(recording).group_by("place").agg(last=pl.col("offset").max())
    found = views.acknowledged(recording).join(ends, on="place").filter(pl.col("offset") < pl.col("last"))
    row = pick(found, rng)
    gone = final_of(row) & (pl.col("isolation") == "committed")
    return Planted(
        recording=recording.with_rows(recording.rows.filter(~gone)),
        expect={"value": row["value"], **where(row)},
    )


@mutation
def drop_final_tail(recording: Recording, rng: random.Random) -> Planted:
    """The log was cut: a partition's last records are gone, and its high watermark with them."""
    picked = acknowledged_final(recording, rng)
    here = (pl.col("topic") == picked["topic"]) & (pl.col("partition") == picked["partition"])
    ours = views.acknowledged(recording).filter(here).sort("offset")
    cut = ours.row(-3, named=True)
    gone = here & (pl.col("op") == "final") & (pl.col("offset") >= cut["offset"])
    rows = recording.rows.filter(~gone).with_columns(
        offset=pl.when(here & pl.col("op").is_in(["log_end", "reached"]))
        .then(cut["offset"])
        .otherwise("offset")
    )
    return Planted(recording=recording.with_rows(rows), expect={"value": cut["value"], **where(cut)})


@mutation
def drop_final_that_was_read(recording: Recording, rng: random.Random) -> Planted:
    """A record that was delivered is gone at the end."""
    read = views.reads(recording).filter(pl.col("partition") != 0)
    row = pick(read, rng)
    return Planted(
        recording=recording.with_rows(recording.rows.filter(~final_of(row))),
        expect={"value": row["value"], **where(row)},
    )


@mutation
def retopic_final(recording: Recording, rng: random.Random) -> Planted:
    """A record lies in another topic than the one it was sent to."""
    row = acknowledged_final(recording, rng)
    others = recording.rows.filter((pl.col("op") == "final") & (pl.col("topic") != row["topic"]))
    other = str(others["topic"][0])
    offset = free_offset(recording, other, row["partition"])
    moved = set_rows(recording, final_of(row), topic=other, offset=offset)
    return Planted(
        recording=grow(moved, other, row["partition"]), expect={"value": row["value"], "topic": row["topic"]}
    )


@mutation
def corrupt_final(recording: Recording, rng: random.Random) -> Planted:
    """A record's payload in the log is not whole."""
    row = acknowledged_final(recording, rng)
    return Planted(
        recording=set_rows(recording, final_of(row), corrupt=True),
        expect={"value": row["value"], **where(row)},
    )


@mutation
def double_final(recording: Recording, rng: random.Random) -> Planted:
    """A record is in its partition twice."""
    row = acknowledged_final(recording, rng)
    return _doubled(recording, row, partition=row["partition"])


@mutation
def double_final_elsewhere(recording: Recording, rng: random.Random) -> Planted:
    """A record is in two partitions."""
    row = acknowledged_final(recording, rng)
    others = recording.rows.filter((pl.col("op") == "final") & (pl.col("partition") != row["partition"]))
    return _doubled(recording, row, partition=int(others["partition"][0]))


def _doubled(recording: Recording, row: dict[str, Any], *, partition: int) -> Planted:
    offset = free_offset(recording, row["topic"], partition)
    doubled = insert_after(recording, row, partition=partition, offset=offset)
    return Planted(recording=grow(doubled, row["topic"], partition), expect={"value": row["value"]})


@mutation
def move_final(recording: Recording, rng: random.Random) -> Planted:
    """A record lies at another offset than its acknowledgement said."""
    row = acknowledged_final(recording, rng)
    offset = free_offset(recording, row["topic"], row["partition"])
    moved = set_rows(recording, final_of(row), offset=offset)
    return Planted(
        recording=grow(moved, row["topic"], row["partition"]),
        expect={"value": row["value"], **where(row)},
    )


@mutation
def swap_finals(recording: Recording, rng: random.Random) -> Planted:
    """Two records of a partition have changed places."""
    row = acknowledged_final(recording, rng)
    here = (pl.col("topic") == row["topic"]) & (pl.col("partition") == row["partition"])
    other = recording.rows.filter(
        here & (pl.col("op") == "final") & (pl.col("offset") > row["offset"])
    ).sort("offset").row(0, named=True)  # fmt: skip
    both = {row["value"]: other["offset"], other["value"]: row["offset"]}
    rows = recording.rows.with_columns(
        offset=pl.when((pl.col("op") == "final") & pl.col("value").is_in(list(both)))
        .then(pl.col("value").replace_strict(both, default=None))
        .otherwise("offset")
    )
    return Planted(recording=recording.with_rows(rows), expect=where(row))


@mutation
def rewrite_final(recording: Recording, rng: random.Random) -> Planted:
    """Another record lies at an acknowledged offset."""
    row = acknowledged_final(recording, rng)
    return Planted(recording=set_rows(recording, final_of(row), value=UNSENT), expect=where(row))


@mutation
def invent_final(recording: Recording, rng: random.Random) -> Planted:
    """The log holds a record that nobody sent."""
    row = acknowledged_final(recording, rng)
    offset = free_offset(recording, row["topic"], row["partition"])
    more = insert_after(recording, row, value=UNSENT, offset=offset)
    return Planted(recording=grow(more, row["topic"], row["partition"]), expect={"value": UNSENT})
