"""What each group worked on: deliveries and processed records, and the first position of a group."""

from __future__ import annotations

import polars as pl

from kafkaos.checks import views
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
