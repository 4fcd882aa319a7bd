"""Where records lie: how many between two offsets (by rank, since offsets are sparse), and offsets looked up."""

from __future__ import annotations

from typing import Any

import polars as pl


def between(jumps: pl.DataFrame, positions: pl.DataFrame, *, name: str = "skipped") -> pl.DataFrame:
    """Add to each jump (place, before, offset) how many of `positions` lie strictly between its two offsets.

    `positions` has place and offset, sorted by both.
    """
    if jumps.is_empty():
        return jumps.with_columns(pl.lit(None, pl.Int64).alias(name))
    ranked = positions.select("place", at="offset").unique(maintain_order=True)
    ranked = ranked.with_columns(rank=pl.int_range(1, pl.len() + 1).over("place"))
    table = jumps.with_columns(last=pl.col("offset") - 1)
    for edge in ("before", "last"):
        table = (
            table.sort(edge)
            .join_asof(
                ranked.sort("at"),
                left_on=edge,
                right_on="at",
                by="place",
                strategy="backward",
                check_sortedness=False,
            )
            .rename({"rank": f"{edge}_rank"})
            .drop("at", strict=False)
        )
    count = pl.col("last_rank").fill_null(0) - pl.col("before_rank").fill_null(0)
    return table.with_columns(count.alias(name)).drop("last", "last_rank", "before_rank")


def records_between(log: pl.DataFrame, row: dict[str, Any], *, at_most: int) -> list[dict[str, Any]]:
    """The first few records of the log that a jump passed over."""
    inside = (pl.col("offset") > row["before"]) & (pl.col("offset") < row["offset"])
    found = log.filter((pl.col("place") == row["place"]) & inside).head(at_most)
    return found.select("topic", "partition", "offset", "value").to_dicts()


def with_log_offsets(acked: pl.DataFrame, log: pl.DataFrame) -> pl.DataFrame:
    """Sends with the offset of the log where their acknowledgement came without one."""
    if not acked["offset"].null_count():
        return acked
    found = (
        log.drop_nulls("value")
        .unique("value", keep="none")
        .select("place", "value", found="offset", found_spot="spot")
    )
    return (
        acked.join(found, on=["place", "value"], how="left")
        .with_columns(offset=pl.coalesce("offset", "found"), spot=pl.coalesce("spot", "found_spot"))
        .drop("found", "found_spot")
    )
