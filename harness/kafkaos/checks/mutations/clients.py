"""Anomalies in what the clients saw: acknowledgements, deliveries and times."""

from __future__ import annotations

import random
from typing import Any

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.mutations.tools import (
    UNSENT,
    Planted,
    free_offset,
    grow,
    insert_after,
    mutation,
    numbered,
    pick,
    set_row,
    set_rows,
    where,
)
from kafkaos.checks.story import NS_PER_S, faults, since_start_s
from kafkaos.history import Recording

_LONG_NS = 90 * NS_PER_S  # longer than any limit that a check has by default


def _sends_of_one(recording: Recording, rng: random.Random) -> pl.DataFrame:
    """The acknowledged sends of one producer to one partition, in program order."""
    sends = numbered(recording).filter((pl.col("op") == "send") & (pl.col("outcome") == "ok"))
    one = pick(sends, rng)
    same = [pl.col(name) == one[name] for name in ("client", "topic", "partition")]
    return sends.filter(same).sort("row")


def _read(recording: Recording, rng: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """A delivery and the next one of the same reader and partition, both the only ones in their group."""
    reads = numbered(recording).filter(pl.col("op") == "read")
    once = pl.len().over("group", "topic", "partition", "offset") == 1
    one = pick(reads.filter(once), rng)
    same = [pl.col(name) == one[name] for name in ("client", "topic", "partition")]
    line = reads.filter(same).sort("row")
    place = line["row"].index_of(one["row"]) or 0
    if place >= line.height - 2 or place < 2:  # a stretch's edge: take its middle
        place = line.height // 2
    return line.row(place, named=True), line.row(place + 1, named=True)


@mutation
def move_acknowledgement(recording: Recording, rng: random.Random) -> Planted:
    """A send is acknowledged with the offset of an earlier record."""
    line = _sends_of_one(recording, rng)
    later, earlier = line.row(line.height // 2, named=True), line.row(1, named=True)
    return Planted(
        recording=set_row(recording, later, offset=earlier["offset"]), expect=where(later | earlier)
    )


@mutation
def swap_acknowledgements(recording: Recording, rng: random.Random) -> Planted:
    """Two sends of one producer are acknowledged with each other's offsets."""
    line = _sends_of_one(recording, rng)
    first, second = line.row(line.height // 2, named=True), line.row(line.height // 2 + 1, named=True)
    swapped = set_row(recording, first, offset=second["offset"])
    swapped = set_row(swapped, second, offset=first["offset"])
    return Planted(recording=swapped, expect={"value": second["value"], **where(first)})


@mutation
def fail_a_present_send(recording: Recording, rng: random.Random) -> Planted:
    """A producer was told that a send surely failed, yet it is in the log."""
    line = _sends_of_one(recording, rng)
    row = line.row(line.height // 2, named=True)
    failed = set_row(recording, row, outcome="fail", offset=None)
    return Planted(recording=failed, expect={"value": row["value"], **where(row)})


@mutation
def rewrite_read(recording: Recording, rng: random.Random) -> Planted:
    """A reader was given another record than the log holds at that offset."""
    row, _ = _read(recording, rng)
    return Planted(recording=set_row(recording, row, value=UNSENT), expect=where(row))


@mutation
def corrupt_read(recording: Recording, rng: random.Random) -> Planted:
    """A reader was given a payload that is not whole."""
    row, _ = _read(recording, rng)
    return Planted(
        recording=set_row(recording, row, corrupt=True), expect={"client": row["client"], **where(row)}
    )


@mutation
def invent_read(recording: Recording, rng: random.Random) -> Planted:
    """A reader was given a record that nobody sent."""
    row, _ = _read(recording, rng)
    offset = free_offset(recording, row["topic"], row["partition"])
    more = insert_after(recording, row, value=UNSENT, offset=offset)
    return Planted(recording=grow(more, row["topic"], row["partition"]), expect={"value": UNSENT})


@mutation
def drop_read(recording: Recording, rng: random.Random) -> Planted:
    """A reader was not given a record that lies between two that it was given."""
    row, _ = _read(recording, rng)
    rows = recording.rows.filter(pl.int_range(pl.len()) != row["mutations_row"])
    return Planted(recording=recording.with_rows(rows), expect={"value": row["value"], **where(row)})


@mutation
def repeat_read(recording: Recording, rng: random.Random) -> Planted:
    """A reader was given a record twice in a row."""
    row, _ = _read(recording, rng)
    return Planted(recording=insert_after(recording, row), expect={"client": row["client"], **where(row)})


@mutation
def swap_reads(recording: Recording, rng: random.Random) -> Planted:
    """A reader was given two records in the wrong order."""
    first, second = _read(recording, rng)
    swapped = recording
    for row, other in ((first, second), (second, first)):
        swapped = set_row(swapped, row, offset=other["offset"], value=other["value"])
    return Planted(recording=swapped, expect={"client": first["client"], **where(first)})


@mutation
def skip_at_rebalance(recording: Recording, rng: random.Random) -> Planted:
    """After a rebalance a group went on behind records that no member was ever given."""
    assigned = numbered(recording).filter(pl.col("op") == "assign").sort("invoked_ns")
    first = assigned.row(rng.randrange(assigned.height), named=True)
    here = [pl.col(name) == first[name] for name in ("group", "topic", "partition")]
    reads = numbered(recording).filter(pl.col("op") == "read", *here).sort("invoked_ns", "row")
    taken = reads.filter(pl.col("client") == reads["client"][0])["offset"].max()
    resumed = reads.filter(pl.col("client") != reads["client"][0])
    left_out = resumed.filter(pl.col("offset") > taken).head(3)
    again = resumed.filter(pl.col("offset") <= taken)
    gone = pl.concat([left_out, again])["mutations_row"].cast(pl.Int64)
    rows = recording.rows.filter(~pl.int_range(pl.len()).is_in(gone.implode()))
    expect = {"value": left_out["value"][0], **where(left_out.row(0, named=True))}
    return Planted(recording=recording.with_rows(rows), expect=expect)


@mutation
def stretch_gap(recording: Recording, rng: random.Random) -> Planted:
    """For a long time no send was acknowledged, though some were outstanding."""
    line = _sends_of_one(recording, rng)
    start_ns = line.row(line.height // 2, named=True)["invoked_ns"]
    later = [
        pl.when(pl.col(name) > start_ns).then(pl.col(name) + _LONG_NS).otherwise(name).alias(name)
        for name in ("invoked_ns", "completed_ns")
    ]
    acked = recording.rows.filter((pl.col("op") == "send") & (pl.col("outcome") == "ok"))
    last_ns = int(acked.filter(pl.col("completed_ns") <= start_ns)["completed_ns"].max())  # type: ignore[arg-type]
    return Planted(
        recording=recording.with_rows(recording.rows.with_columns(later)),
        expect={"seen_s": since_start_s(recording, last_ns)},
    )


@mutation
def stretch_delivery(recording: Recording, rng: random.Random) -> Planted:
    """For a long time a group was given nothing, though acknowledged records lay there."""
    row, _ = _read(recording, rng)
    late = (pl.col("group") == row["group"]) & (pl.col("invoked_ns") > row["invoked_ns"])
    times = [
        pl.when(late).then(pl.col(name) + _LONG_NS).otherwise(name).alias(name)
        for name in ("invoked_ns", "completed_ns")
    ]
    return Planted(
        recording=recording.with_rows(recording.rows.with_columns(times)),
        expect={"seen_s": since_start_s(recording, row["invoked_ns"])},
    )


def _after_fault(recording: Recording, rng: random.Random) -> tuple[dict[str, Any], pl.Expr]:
    """A partition in use, and the sends to it that were invoked after the first fault was in place."""
    row = pick(views.acknowledged(recording), rng)
    placed_ns = faults(recording)[0].placed_ns
    here = (pl.col("topic") == row["topic"]) & (pl.col("partition") == row["partition"])
    return row, here & (pl.col("op") == "send") & (pl.col("invoked_ns") >= placed_ns)


@mutation
def delay_recovery(recording: Recording, rng: random.Random) -> Planted:
    """One partition of several is acknowledged again only long after the fault."""
    row, late = _after_fault(recording, rng)
    rows = recording.rows.with_columns(
        completed_ns=pl.when(late).then(pl.col("completed_ns") + _LONG_NS).otherwise("completed_ns")
    )
    expect = {"topic": row["topic"], "partition": row["partition"]}
    return Planted(recording=recording.with_rows(rows), expect=expect)


@mutation
def never_recover(recording: Recording, rng: random.Random) -> Planted:
    """One partition of several is tried for a long time after the fault and never acknowledged again."""
    row, late = _after_fault(recording, rng)
    delayed = recording.rows.with_columns(
        completed_ns=pl.when(late).then(pl.col("invoked_ns") + _LONG_NS).otherwise("completed_ns")
    )
    expect = {"topic": row["topic"], "partition": row["partition"]}
    return Planted(recording=set_rows(recording.with_rows(delayed), late, outcome="info"), expect=expect)
