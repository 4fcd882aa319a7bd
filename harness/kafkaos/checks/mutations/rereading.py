"""Anomalies of a group that goes on elsewhere than where it had committed."""

from __future__ import annotations

import random

import polars as pl

from kafkaos.checks.mutations.tools import Planted, insert_after, mutation, numbered
from kafkaos.history import Recording


@mutation
def read_below_the_commit(recording: Recording, rng: random.Random) -> Planted:
    """A group had committed all that its first member was given, and its next member was given some of it again."""
    reads = numbered(recording).filter((pl.col("op") == "read") & pl.col("group").is_not_null())
    groups = reads["group"].cast(pl.String).unique().sort()
    mine = reads.filter(pl.col("group") == groups[rng.randrange(groups.len())])
    first = mine.filter(pl.col("client") == mine.sort("invoked_ns")["client"][0])
    last = first.group_by("topic", "partition", maintain_order=True).tail(1)
    row = last.row(rng.randrange(last.height), named=True)
    planted = insert_after(
        recording, row, op="commit", offset=row["offset"] + 1, value=None, key=None, isolation=None
    )
    here = (pl.col("topic") == row["topic"]) & (pl.col("partition") == row["partition"])
    again = (
        mine.filter(here & (pl.col("client") != row["client"])).sort("invoked_ns", "row").row(0, named=True)
    )
    expect = {name: again[name] for name in ("client", "topic", "partition", "offset", "value")}
    return Planted(recording=planted, expect=expect)
