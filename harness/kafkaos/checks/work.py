"""What each group worked on: deliveries and processed records, and the first position of a group."""

from __future__ import annotations

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.transactions import OWNER, transactions
from kafkaos.history import Recording

GROUP_PLACE = ["group", "place"]
_COLUMNS = [
    "client",
    "incarnation",
    "row",
    "group",
    "topic",
    "partition",
    "place",
    "offset",
    "value",
    "invoked_ns",
    "spot",
    "here",
]


def worked(recording: Recording) -> pl.DataFrame:
    """Each finished piece of work of a group: its `process` rows; `done_ns` says when.

    A group that recorded no `process` row at all is known by its deliveries only: they count as its work.
    """

    def compute() -> pl.DataFrame:
        done = views.of_op(recording, "process", "outcome").filter(pl.col("outcome") == "ok")
        done = done.drop_nulls(["group", *GROUP_PLACE, "offset"])
        given = views.reads(recording).drop_nulls([*GROUP_PLACE, "offset"])
        silent = given.filter(~pl.col("group").is_in(processing_groups(recording).implode()))
        parts = [
            done.select(*_COLUMNS, done_ns=pl.coalesce("completed_ns", "invoked_ns")),
            silent.select(*_COLUMNS, done_ns="invoked_ns"),
        ]
        return pl.concat(parts)

    return recording.derive("worked", compute)


def processing_groups(recording: Recording) -> pl.Series:
    """The groups that recorded any finished work."""

    def compute() -> pl.Series:
        return views.of_op(recording, "process")["group"].drop_nulls().unique()

    return recording.derive("processing groups", compute)


def confirmed_commits(recording: Recording) -> pl.DataFrame:
    """The groups' offset commits that count: answered with ok and, sent to a transaction, of one that committed.

    `completed_ns` is when it was confirmed, in a transaction when that was.
    """

    def compute() -> pl.DataFrame:
        asked = views.of_op(recording, "commit", "outcome", "transaction").filter(pl.col("outcome") == "ok")
        asked = asked.drop_nulls([*GROUP_PLACE, "offset"]).with_columns(told_ns=pl.lit(None, pl.Int64))
        within = pl.col("transaction").is_not_null()
        if asked.select(within.any()).item():
            ended = transactions(recording).filter(pl.col("fate") == "committed").select(*OWNER, "told_ns")
            inside = asked.filter(within).drop("told_ns").join(ended, on=OWNER)
            asked = pl.concat([asked.filter(~within), inside.select(asked.columns)])
        return asked.with_columns(completed_ns=pl.coalesce("told_ns", "completed_ns", "invoked_ns"))

    return recording.derive("confirmed commits", compute)


def first_positions(recording: Recording) -> pl.DataFrame:
    """Where each group began in each place: the lowest offset that it was assigned, given or did (`begin`)."""

    def compute() -> pl.DataFrame:
        parts = [
            views.reads(recording).select(*GROUP_PLACE, "offset"),
            worked(recording).select(*GROUP_PLACE, "offset"),
            views.of_op(recording, "assign").select(*GROUP_PLACE, "offset"),
        ]
        found = pl.concat(parts).drop_nulls()
        return found.group_by(GROUP_PLACE).agg(begin=pl.col("offset").min())

    return recording.derive("first positions", compute)
