"""Anomalies of transactions: aborted reads, torn ones, circles, zombies."""

from __future__ import annotations

import random
from typing import Any

import polars as pl

from kafkaos.checks import views
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
from kafkaos.checks.transactions import OWNER, transactions, written
from kafkaos.history import Recording

_MS = 1_000_000


def _one(recording: Recording, rng: random.Random, *, fate: str) -> dict[str, Any]:
    """A record that was written in a transaction of that fate and is in the log."""
    found = written(recording).filter((pl.col("fate") == fate) & pl.col("offset").is_not_null())
    log = views.log(recording).select("place", "offset")
    return pick(found.join(log, on=["place", "offset"], how="semi"), rng)


def _neighbour(recording: Recording, row: dict[str, Any], op: str) -> dict[str, Any]:
    """The last row of a group's member, or of the final reader of committed records, before that offset."""
    here = (
        (pl.col("topic") == row["topic"]) & (pl.col("partition") == row["partition"]) & (pl.col("op") == op)
    )
    found = numbered(recording).filter(here, pl.col("isolation") == "committed")
    if op == "read":
        found = found.filter(pl.col("group").is_not_null())
    before = found.filter(pl.col("offset") < row["offset"])
    return (
        (before if before.height else found).sort("offset", "row").row(-1 if before.height else 0, named=True)
    )


@mutation
def read_an_aborted_record(recording: Recording, rng: random.Random) -> Planted:
    """A reader of committed records was given one of an aborted transaction."""
    row = _one(recording, rng, fate="aborted")
    after = _neighbour(recording, row, "read")
    told = {"value": row["value"], **where(row)}
    more = insert_after(recording, after, value=row["value"], offset=row["offset"])
    return Planted(recording=more, expect={"client": after["client"], **told})


@mutation
def show_an_aborted_record(recording: Recording, rng: random.Random) -> Planted:
    """At the end an aborted record is given to readers of committed records."""
    row = _one(recording, rng, fate="aborted")
    after = _neighbour(recording, row, "final")
    told = {"value": row["value"], **where(row)}
    return Planted(
        recording=insert_after(recording, after, value=row["value"], offset=row["offset"]), expect=told
    )


@mutation
def tear_a_transaction(recording: Recording, rng: random.Random) -> Planted:
    """Of a committed transaction one record cannot be read."""
    row = _one(recording, rng, fate="committed")
    gone = (
        pl.col("op").is_in(["final", "read"])
        & (pl.col("value") == row["value"])
        & (pl.col("isolation") == "committed")
    )
    return Planted(
        recording=recording.with_rows(recording.rows.filter(~gone)),
        expect={"value": row["value"], **where(row)},
    )


@mutation
def read_before_commit(recording: Recording, rng: random.Random) -> Planted:
    """A reader was given a record before its producer asked to commit."""
    row = _one(recording, rng, fate="committed")
    reads = numbered(recording).filter(
        (pl.col("op") == "read") & (pl.col("value") == row["value"]) & pl.col("group").is_not_null()
    )
    read = reads.row(rng.randrange(reads.height), named=True)
    early = set_row(
        recording, read, invoked_ns=row["asked_ns"] - 5 * _MS, completed_ns=row["asked_ns"] - 5 * _MS
    )
    return Planted(recording=early, expect={"client": read["client"], **where(read)})


def _two(recording: Recording, rng: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """A committed transaction, and the next one of another client, committed as well."""
    known = transactions(recording).filter(pl.col("fate") == "committed").sort("began_ns")
    other = pl.col("client") != pl.col("client").shift(-1)
    places = known.with_row_index("at").filter(other.fill_null(False))["at"].to_list()
    first = places[rng.randrange(len(places))]
    return known.row(first, named=True), known.row(first + 1, named=True)


@mutation
def cross_writes(recording: Recording, rng: random.Random) -> Planted:
    """Two transactions cross: in one partition the first wrote before the second, in another behind it."""
    first, second = _two(recording, rng)
    offsets = [
        written(recording).filter(pl.col("txn") == one["txn"]).sort("partition").row(-1, named=True)
        for one in (first, second)
    ]
    both = {offsets[0]["value"]: offsets[1]["offset"], offsets[1]["value"]: offsets[0]["offset"]}
    crossed = pl.col("value").is_in(list(both)) & pl.col("op").is_in(["send", "final"])
    rows = recording.rows.with_columns(
        offset=pl.when(crossed)
        .then(pl.col("value").replace_strict(both, default=None, return_dtype=pl.Int64))
        .otherwise("offset")
    )
    return Planted(recording=recording.with_rows(rows), expect={"topic": offsets[0]["topic"]})


@mutation
def read_in_a_circle(recording: Recording, rng: random.Random) -> Planted:
    """Two transactions each read what the other wrote."""
    first, second = _two(recording, rng)
    circular = recording
    for reader, writer in ((first, second), (second, first)):
        row = written(recording).filter(pl.col("txn") == writer["txn"]).row(0, named=True)
        begin = numbered(circular).filter(
            pl.col("op") == "begin", *(pl.col(name) == reader[name] for name in OWNER)
        ).row(0, named=True)  # fmt: skip
        circular = insert_after(
            circular, begin, op="read", topic=row["topic"], partition=row["partition"], offset=row["offset"],
            value=row["value"], isolation="committed",
        )  # fmt: skip
    return Planted(recording=circular, expect={"topic": row["topic"]})


def _zombie(recording: Recording) -> tuple[pl.DataFrame, int]:
    """The visible records of a producer's first incarnation, and when the second began."""
    begun = transactions(recording).filter(pl.col("incarnation") == 1)
    client, began_ns = begun["client"][0], int(begun["began_ns"].min())  # type: ignore[arg-type]
    old = (pl.col("client") == client) & (pl.col("incarnation") == 0) & (pl.col("fate") == "committed")
    return written(recording).filter(old), began_ns


@mutation
def write_as_a_zombie(recording: Recording, rng: random.Random) -> Planted:
    """A producer sent a visible record after its successor had begun."""
    records, began_ns = _zombie(recording)
    row = pick(records, rng)
    mine = (pl.col("op") == "send") & (pl.col("value") == row["value"])
    late = set_rows(recording, mine, invoked_ns=began_ns + NS_PER_S, completed_ns=began_ns + NS_PER_S + _MS)
    return Planted(recording=late, expect={"value": row["value"], **where(row)})


@mutation
def commit_as_a_zombie(recording: Recording, rng: random.Random) -> Planted:
    """A producer committed a transaction after its successor had begun."""
    records, began_ns = _zombie(recording)
    row = pick(records, rng)
    mine = [pl.col(name) == row[name] for name in OWNER]
    end = numbered(recording).filter(pl.col("op") == "end", *mine).row(0, named=True)
    late = set_row(recording, end, invoked_ns=began_ns + _MS, completed_ns=began_ns + 2 * _MS)
    return Planted(recording=late, expect={"client": row["client"], "topic": row["topic"]})
