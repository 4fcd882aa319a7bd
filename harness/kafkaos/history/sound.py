"""Rows of a stranger's table that cannot all be true, or do not say what they are about, are refused: judged, they
would show something that nobody saw. Our own recorder writes none of them.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from kafkaos.errors import BrokenRecording

_OF_NO_TOPIC = ("begin", "end", "inject", "heal", "revoke")
_BOUNDS = ("log_start", "log_end", "reached")
_AT_A_PLACE = ("read", "process", "final", "replica", "replica_end", *_BOUNDS)
_INCARNATION = ("client", "incarnation")
_LINE = (*_INCARNATION, "topic", "partition", "offset", "value", "outcome", "invoked_ns", "completed_ns")


def refuse_contradictions(rows: pl.DataFrame, *, numbered: bool, source: str) -> None:
    """Raises BrokenRecording naming `source` and the first such row; `numbered`: the table had the column row."""
    # A part of a large table does not come in the order of the file.
    rows = rows.sort("row", pl.col("client").cast(pl.String), maintain_order=True)
    _say_what_they_are_about(rows, source)
    _end_after_they_began(rows, source)
    _have_one_bound(rows, source)
    if not numbered:
        _come_once(rows, source)
        _are_in_program_order(rows, source)


def _say_what_they_are_about(rows: pl.DataFrame, source: str) -> None:
    op, told = pl.col("op").cast(pl.String), pl.col("outcome") == "ok"
    needed = {
        "transaction": op.is_in(["begin", "end"]),
        "topic": ~op.is_in(_OF_NO_TOPIC),
        "partition": op.is_in(_AT_A_PLACE),
        # A final reader that found no leader tells bounds that are not known, with outcome info.
        "offset": op.is_in(_AT_A_PLACE) & (told | ~op.is_in(_BOUNDS)),
    }
    for name, wanted in needed.items():
        if (row := _first(rows, wanted & pl.col(name).is_null())) is not None:
            raise BrokenRecording(
                f"{source} has no {name} in {_place(row)}, of op {row['op']}: write it, or leave the row out"
            )


def _end_after_they_began(rows: pl.DataFrame, source: str) -> None:
    # Of sends only: an application's commit is dated by the clocks of two lines, and may seem to end early.
    early = (pl.col("op") == "send") & (pl.col("completed_ns") < pl.col("invoked_ns"))
    if (row := _first(rows, early)) is not None:
        raise BrokenRecording(
            f"{source} has in {_place(row)} a send that was completed ({row['completed_ns']}) before it was invoked "
            f"({row['invoked_ns']}): are all times in ns, and of one clock?"
        )


def _have_one_bound(rows: pl.DataFrame, source: str) -> None:
    bounds = rows.filter(pl.col("op").cast(pl.String).is_in(_BOUNDS)).drop_nulls(
        ["topic", "partition", "offset"]
    )
    isolation = pl.col("isolation").cast(pl.String).fill_null("uncommitted")
    table = bounds.group_by("topic", "partition", isolation, maintain_order=True).agg(
        pl.col("offset").filter(pl.col("op") == op).unique().sort().alias(op) for op in _BOUNDS
    )
    for row in table.iter_rows(named=True):
        where = f"{row['topic']}-{row['partition']} at isolation {row['isolation']}"
        for op in _BOUNDS:
            if len(row[op]) > 1:
                raise BrokenRecording(
                    f"{source} has the {op} of {where} as {row[op][0]} and as {row[op][1]}: write each bound once"
                )
        if row["reached"] and row["log_end"] and row["reached"][0] > row["log_end"][0]:
            raise BrokenRecording(
                f"{source} has reached {row['reached'][0]} of {where}, behind its log_end {row['log_end'][0]}: write "
                "both as they were when the final reader stopped"
            )
        if row["log_start"] and row["log_end"] and row["log_start"][0] > row["log_end"][0]:
            # All that was lost would seem to be older than the log.
            raise BrokenRecording(
                f"{source} has the log_start {row['log_start'][0]} of {where}, behind its log_end {row['log_end'][0]}: "
                "write the first offset, and the high watermark"
            )


def _come_once(rows: pl.DataFrame, source: str) -> None:
    """Only what lies at one offset: sends that were never answered may well look the same."""
    placed = rows.filter((pl.col("op") == "send") & pl.col("offset").is_not_null())
    if (row := _first(placed, ~pl.struct(_LINE).is_first_distinct())) is not None:
        raise BrokenRecording(
            f"{source} has in {_place(row)} a send that an earlier row tells in the same words: write "
            "each send once, or number the rows of each client in the column row"
        )


def _are_in_program_order(rows: pl.DataFrame, source: str) -> None:
    acts = rows.filter(pl.col("op").cast(pl.String).is_in(["send", "read"]))
    falls = pl.col("invoked_ns").diff().over(*_INCARNATION, "op") < 0
    if (row := _first(acts, falls)) is not None:
        raise BrokenRecording(
            f"{source} has in {_place(row)} a {row['op']} that was invoked before the one above it: "
            "give the column row, the program order of each client, or sort the file by it"
        )


def _first(rows: pl.DataFrame, which: pl.Expr) -> dict[str, Any] | None:
    return next(rows.filter(which).head(1).iter_rows(named=True), None)


def _place(row: dict[str, Any]) -> str:
    """A table without the column row has numbered its rows from 0."""
    return f"row {row['row']} of {row['client']}"
