"""Anomalies of consumer groups and of order by key and by time: commits, work, ownership."""

from __future__ import annotations

import random
from typing import Any

import polars as pl

from kafkaos.checks.mutations.tools import (
    Planted,
    insert_after,
    mutation,
    numbered,
    pick,
    set_row,
    set_rows,
    where,
)
from kafkaos.checks.story import NS_PER_S
from kafkaos.history import Recording

_NEW_KEY = 777_777


def _line(recording: Recording, row: dict[str, Any], op: str, *more: str) -> pl.DataFrame:
    """The rows of one kind that stand in one line with a row: same topic, partition and `more`."""
    same = [pl.col(name) == row[name] for name in ("topic", "partition", *more)]
    return numbered(recording).filter(pl.col("op") == op, *same).sort("row")


@mutation
def overtake_an_acknowledged_send(recording: Recording, rng: random.Random) -> Planted:
    """A record lies before one that another producer had been acknowledged before it was sent."""
    sends = numbered(recording).filter(
        (pl.col("op") == "send") & (pl.col("outcome") == "ok") & pl.col("transaction").is_null()
    )
    first = pick(sends, rng)
    line = _line(recording, first, "send").filter(pl.col("outcome") == "ok").sort("invoked_ns")
    others = line.filter(pl.col("client") != first["client"])
    later = others.filter(pl.col("invoked_ns") > first["completed_ns"])
    if later.is_empty():  # too near the end: take one of the middle
        first = line.row(line.height // 2, named=True)
        other = (pl.col("client") != first["client"]) & (pl.col("invoked_ns") > first["completed_ns"])
        later = line.filter(other)
    second = later.row(0, named=True)
    swapped = set_row(recording, first, offset=second["offset"])
    swapped = set_row(swapped, second, offset=first["offset"])
    return Planted(recording=swapped, expect={"value": second["value"], **where(first)})


def _two_reads(recording: Recording, rng: random.Random, *, one_sender: bool) -> tuple[dict[str, Any], ...]:
    """Two deliveries of one member and partition whose records one producer, or two, sent one after the other."""
    sent = recording.rows.filter(
        (pl.col("op") == "send") & (pl.col("outcome") == "ok") & pl.col("transaction").is_null()
    ).select("value", sender="client", sent_ns="invoked_ns", done_ns="completed_ns")
    reads = numbered(recording).filter((pl.col("op") == "read") & pl.col("group").is_not_null())
    once = pl.len().over("group", "topic", "partition", "offset") == 1
    reads = reads.filter(once).join(sent, on="value")
    row = pick(reads, rng)
    same = [pl.col(name) == row[name] for name in ("client", "topic", "partition")]
    line = reads.filter(same).sort("row")
    for at in range(line.height // 2, line.height):
        first = line.row(at, named=True)
        other = (pl.col("sender") == first["sender"]) == one_sender
        later = line.filter(other & (pl.col("sent_ns") > first["done_ns"]))
        if later.height:
            return first, later.row(0, named=True)
    raise AssertionError("no two reads of that kind")


def _swap_under_one_key(recording: Recording, first: dict[str, Any], second: dict[str, Any]) -> Recording:
    sends = (pl.col("op") == "send") & pl.col("value").is_in([first["value"], second["value"]])
    swapped = set_rows(recording, sends, key=_NEW_KEY)
    for row, other in ((first, second), (second, first)):
        swapped = set_row(swapped, row, offset=other["offset"], value=other["value"])
    return swapped


@mutation
def swap_reads_of_a_key(recording: Recording, rng: random.Random) -> Planted:
    """Two records of a key, sent by one producer, were read in the wrong order."""
    first, second = _two_reads(recording, rng, one_sender=True)
    return Planted(
        recording=_swap_under_one_key(recording, first, second),
        expect={"value": first["value"], "client": first["client"]},
    )


@mutation
def swap_reads_of_two_senders(recording: Recording, rng: random.Random) -> Planted:
    """Two records of a key were read in the wrong order, the second sent after the first was acknowledged."""
    first, second = _two_reads(recording, rng, one_sender=False)
    return Planted(
        recording=_swap_under_one_key(recording, first, second),
        expect={"value": second["value"], "client": first["client"]},
    )


def _commits(recording: Recording, rng: random.Random) -> pl.DataFrame:
    commits = numbered(recording).filter(pl.col("op") == "commit")
    busy = commits.filter(pl.len().over("client", "topic", "partition") >= 3)
    return _line(recording, pick(busy, rng), "commit", "client")


@mutation
def commit_ahead(recording: Recording, rng: random.Random) -> Planted:
    """A member committed past records that it processed only later."""
    line = _commits(recording, rng)
    row, following = line.row(0, named=True), line.row(-1, named=True)
    told = {"client": row["client"], **where(row | {"offset": following["offset"]})}
    return Planted(recording=set_row(recording, row, offset=following["offset"]), expect=told)


@mutation
def commit_falls(recording: Recording, rng: random.Random) -> Planted:
    """A member committed an offset below one that it had committed."""
    line = _commits(recording, rng)
    first, row = line.row(0, named=True), line.row(-1, named=True)
    told = {"client": row["client"], **where(first)}
    return Planted(recording=set_row(recording, row, offset=first["offset"]), expect=told)


@mutation
def leave_out_work(recording: Recording, rng: random.Random) -> Planted:
    """A group never processed a record that was acknowledged, and went on."""
    sent = recording.rows.filter((pl.col("op") == "send") & (pl.col("outcome") == "ok")).select("value")
    starts = recording.rows.filter((pl.col("op") == "log_start") & (pl.col("isolation") == "uncommitted"))
    ours = recording.rows.join(sent, on="value", how="semi").join(
        starts.select("topic", "partition", start="offset"), on=["topic", "partition"]
    )
    lying = ours.filter((pl.col("op") == "process") & (pl.col("offset") >= pl.col("start")))
    lasts = lying.group_by("group", "topic", "partition").agg(last=pl.col("offset").max())
    found = lying.join(lasts, on=["group", "topic", "partition"]).filter(pl.col("offset") < pl.col("last"))
    row = pick(found, rng)
    here = [pl.col(name) == row[name] for name in ("group", "topic", "partition", "offset")]
    gone = (pl.col("op") == "process") & pl.all_horizontal(part.fill_null(False) for part in here)
    return Planted(
        recording=recording.with_rows(recording.rows.filter(~gone)),
        expect={"value": row["value"], **where(row)},
    )


@mutation
def commit_an_unprocessed_record(recording: Recording, rng: random.Random) -> Planted:
    """A group committed past a record that no member ever processed."""
    line = _commits(recording, rng)
    row = line.row(line.height // 2, named=True)
    done = _line(recording, row, "process", "group").filter(pl.col("offset") < row["offset"]).sort("offset")
    skipped = done.row(-1, named=True)
    here = [pl.col(name) == skipped[name] for name in ("group", "topic", "partition", "offset")]
    gone = (pl.col("op") == "process") & pl.all_horizontal(part.fill_null(False) for part in here)
    return Planted(
        recording=recording.with_rows(recording.rows.filter(~gone)), expect={"value": skipped["value"]}
    )


def _handover(
    recording: Recording, rng: random.Random
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """A partition's last read by its first owner, that owner's revoke row, and the second owner's assign row."""
    revokes = numbered(recording).filter(pl.col("op") == "revoke").sort("invoked_ns", "client")
    firsts = revokes.unique(["group", "topic", "partition"], keep="first", maintain_order=True)
    revoke = firsts.row(rng.randrange(firsts.height), named=True)
    taken = _line(recording, revoke, "assign", "group").filter(pl.col("client") != revoke["client"])
    read = _line(recording, revoke, "read", "client").row(-1, named=True)
    return read, revoke, taken.row(0, named=True)


@mutation
def second_owner(recording: Recording, rng: random.Random) -> Planted:
    """Two members were assigned a partition in one generation."""
    _, revoke, assign = _handover(recording, rng)
    told = {"topic": assign["topic"], "partition": assign["partition"]}
    return Planted(recording=set_row(recording, assign, generation=revoke["generation"]), expect=told)


def _acts(
    recording: Recording, read: dict[str, Any], after: dict[str, Any], times_ns: list[int]
) -> Recording:
    """The member reads its last record again, at these times, as the next things that it does."""
    columns = {name: read[name] for name in ("topic", "partition", "offset", "value", "isolation", "key")}
    for at in reversed(times_ns):
        recording = insert_after(recording, after, op="read", invoked_ns=at, completed_ns=at, **columns)
    return recording


@mutation
def act_after_revoke(recording: Recording, rng: random.Random) -> Planted:
    """A member read from a partition that it had given up, when another owned it."""
    read, revoke, assign = _handover(recording, rng)
    acted = _acts(recording, read, revoke, [assign["invoked_ns"] + NS_PER_S // 1_000])
    return Planted(recording=acted, expect={"client": read["client"], **where(read)})


@mutation
def ignore_the_rebalance(recording: Recording, rng: random.Random) -> Planted:
    """A member never noticed that its partition was given to another, and went on for long."""
    read, revoke, assign = _handover(recording, rng)
    acted = _acts(recording, read, read, [assign["invoked_ns"] + after * NS_PER_S for after in (1, 30)])
    same = [pl.col(name) == revoke[name] for name in ("client", "topic", "partition")]
    gone = (pl.col("op") == "revoke") & pl.all_horizontal(part.fill_null(False) for part in same)
    return Planted(
        recording=acted.with_rows(acted.rows.filter(~gone)), expect={"client": read["client"], **where(read)}
    )
