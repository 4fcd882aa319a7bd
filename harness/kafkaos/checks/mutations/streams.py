"""Anomalies in what a stream application made of its input."""

from __future__ import annotations

import random
from typing import Any

import polars as pl

from kafkaos.checks.healthy_streams import INPUT, OUTPUT
from kafkaos.checks.mutations.tools import Planted, mutation, pick
from kafkaos.history import Recording
from kafkaos.history.bodies import canonical


def _output(recording: Recording, rng: random.Random) -> dict[str, Any]:
    return pick(recording.bodies[OUTPUT], rng)


def _place(row: dict[str, Any], topic: str = OUTPUT) -> dict[str, Any]:
    return {"topic": topic, "partition": row["partition"], "offset": row["offset"]}


def _at(row: dict[str, Any]) -> pl.Expr:
    return pl.col("partition").eq(row["partition"]) & pl.col("offset").eq(row["offset"])


def _set(recording: Recording, row: dict[str, Any], name: str, value: str) -> Recording:
    table = recording.bodies[OUTPUT]
    changed = table.with_columns(pl.when(_at(row)).then(pl.lit(value)).otherwise(name).alias(name))
    return recording.with_bodies(OUTPUT, changed)


@mutation
def drop_output(recording: Recording, rng: random.Random) -> Planted:
    """An output is not there."""
    row = _output(recording, rng)
    left = recording.bodies[OUTPUT].filter(~_at(row))
    return Planted(recording=recording.with_bodies(OUTPUT, left), expect={"topic": OUTPUT})


@mutation
def drop_output_of_an_input(recording: Recording, rng: random.Random) -> Planted:
    """An input has no output, told by the input's place: the last of those that are equal."""
    dropped = drop_output(recording, rng).recording
    gone = recording.bodies[OUTPUT].join(dropped.bodies[OUTPUT], on=["partition", "offset"], how="anti")
    inputs = recording.bodies[INPUT].filter(pl.col("value") == gone["value"][0])
    return Planted(recording=dropped, expect=_place(inputs.row(-1, named=True), INPUT))


@mutation
def double_output(recording: Recording, rng: random.Random) -> Planted:
    """An output is there twice."""
    table = recording.bodies[OUTPUT]
    row = _output(recording, rng)
    behind = int(table.filter(pl.col("partition") == row["partition"])["offset"].max()) + 1  # type: ignore[arg-type]
    copy = table.filter(_at(row)).with_columns(offset=pl.lit(behind, dtype=pl.Int64))
    return Planted(
        recording=recording.with_bodies(OUTPUT, pl.concat([table, copy])),
        expect=_place({**row, "offset": behind}),
    )


@mutation
def rewrite_output(recording: Recording, rng: random.Random) -> Planted:
    """An output says something else than its input gives."""
    row = _output(recording, rng)
    return Planted(recording=_set(recording, row, "value", canonical({"id": -1})), expect=_place(row))


@mutation
def rekey_output(recording: Recording, rng: random.Random) -> Planted:
    """An output has another record's key."""
    row = _output(recording, rng)
    return Planted(recording=_set(recording, row, "key", "nobody's"), expect=_place(row))
