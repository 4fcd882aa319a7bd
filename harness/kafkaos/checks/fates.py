"""What became of records that the final reader did not find: lost, not looked for, or rightly gone."""

from __future__ import annotations

import polars as pl


def classify(missing: pl.DataFrame, extents: pl.DataFrame, nameless: pl.DataFrame) -> pl.DataFrame:
    """Add `fate`. Without a partition all must be whole; without an offset, none cut at its start.

    Where one of the `nameless` records may be the missing one, that is unseen.
    """
    known = extents.select("place", "start", "passed", "whole")
    topics = extents.group_by("topic").agg(
        topic_start=pl.col("start").max(), topic_whole=pl.col("whole").all()
    )
    offset = pl.col("offset")
    return (
        missing.join(known, on="place", how="left")
        .join(topics, on="topic", how="left")
        .with_columns(
            start=pl.when(pl.col("partition").is_null()).then("topic_start").otherwise("start").fill_null(0),
            whole=pl.when(pl.col("partition").is_null())
            .then("topic_whole")
            .otherwise("whole")
            .fill_null(False),
        )
        .with_columns(
            fate=pl.when(offset < pl.col("start"))
            .then(pl.lit("exempt"))
            .when(offset.is_null() & (pl.col("start") > 0))
            .then(pl.lit("unseen"))
            .when(
                pl.when(pl.col("partition").is_null())
                .then(pl.col("topic").is_in(nameless["topic"].unique().implode()))
                .when(offset.is_null())
                .then(pl.col("place").is_in(nameless["place"].unique().implode()))
                .otherwise(pl.col("spot").is_in(nameless["spot"].implode()))
            )
            .then(pl.lit("unseen"))
            .when(pl.col("whole") | (offset < pl.col("passed")))
            .then(pl.lit("lost"))
            .otherwise(pl.lit("unseen"))
        )
    )
