"""Replicas agree: below the high watermark the replicas of a partition hold the same log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.seen import ByPartition, Seen
from kafkaos.checks.story import first_rows, witness
from kafkaos.checks.verdict import Verdict, plural
from kafkaos.history import Recording


@dataclass(frozen=True, kw_only=True)
class ReplicasAgree(ByPartition):
    """Compared batch by batch (`replica` rows), from the log's start to the high watermark that the final
    reader was told (without one: to the lowest end of the replicas in sync).

    A replica that is in sync must hold all of it; one that is not (`replica_end` with outcome `info`) only up
    to its own end, and counts as behind. Topics named in `compacted` are not compared: each replica cleans its
    own log.
    """

    name: ClassVar[str] = "replicas_agree"
    title: ClassVar[str] = "All replicas hold the same log below the high watermark"
    mutations: ClassVar[tuple[str, ...]] = ("rewrite_a_replica", "drop_from_a_replica", "cut_a_replica")

    compacted: tuple[str, ...] = ()

    def look(self, recording: Recording) -> Seen:
        batches, replicas = self._tables(recording)
        several = replicas.filter(pl.len().over("place") > 1)
        batches = batches.join(several.select("place", "start", "end").unique(), on="place").filter(
            (pl.col("offset") >= pl.col("start")) & (pl.col("offset") < pl.col("end"))
        )
        differing, missing = _differing(batches), _missing(batches, several)
        behind = several.filter(~pl.col("in_sync") & (pl.col("own_end") < pl.col("end"))).height
        order = ("place", "offset")
        return Seen(
            counts={
                "replicas": several.height,
                "batches": batches.height,
                "differing": differing.height,
                "missing": missing.height,
                "behind": behind,
            },
            told={
                "differing": [
                    witness(recording, _differs(row), row) for row in first_rows(differing, *order)
                ],
                "missing": [witness(recording, _lacks(row), row) for row in first_rows(missing, *order)],
            },
        )

    def conclude(self, seen: Seen) -> Verdict:
        counts, differing, missing = seen.all_counts(), seen.counts["differing"], seen.counts["missing"]
        batches = plural(seen.counts["batches"], "batch", "batches")
        if not seen.counts["replicas"]:
            return not_applicable(self, "No partition's log was read on several replicas.")
        if differing or missing:
            parts = [f"{plural(differing, 'batch', 'batches')} differ"] * bool(differing)
            parts += [f"{plural(missing, 'batch', 'batches')} missing"] * bool(missing)
            told = f"Replicas do not hold the same log: {' and '.join(parts)}."
            return broke(self, told, counts, seen.witnesses("differing", "missing"))
        if not seen.counts["batches"]:
            return unknown(
                self, "No batch lies below the high watermark, so there is nothing to compare.", counts
            )
        if behind := seen.counts["behind"]:
            return unknown(
                self,
                f"{plural(behind, 'replica')} out of sync had not copied all below the high watermark.",
                counts,
            )
        return held(self, f"{plural(seen.counts['replicas'], 'replica')} agree on {batches}.", counts)

    def _tables(self, recording: Recording) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Batches, and replicas with their own end, whether in sync, and what is compared of the place."""
        others = ~pl.col("topic").cast(pl.String).is_in(self.compacted)
        batches = views.of_op(recording, "replica", "sequence").filter(others).drop_nulls(["place", "offset"])
        ends = views.of_op(recording, "replica_end", "outcome").filter(others).drop_nulls("place")
        seen = batches.group_by("client", "topic", "partition", "place").agg(
            last=pl.max_horizontal("offset", "sequence").max() + 1  # of a batch, its last offset
        )
        told = ends.group_by("client", "topic", "partition", "place").agg(
            told=pl.col("offset").last(), in_sync=(pl.col("outcome") == "ok").last()
        )
        replicas = seen.join(told, on=["client", "topic", "partition", "place"], how="full", coalesce=True)
        replicas = replicas.with_columns(
            own_end=pl.coalesce("told", "last").fill_null(0), in_sync=pl.col("in_sync").fill_null(False)
        )
        known = views.extents(recording).select("place", "start", "end")
        first = batches.group_by("place", "client").agg(first=pl.col("offset").min())
        bounds = (
            replicas.group_by("place")
            .agg(lowest=pl.col("own_end").filter("in_sync").min(), least=pl.col("own_end").min())
            .join(first.group_by("place").agg(pl.col("first").max()), on="place", how="left")
        )
        bounds = bounds.join(known, on="place", how="left").select(
            "place",
            start=pl.coalesce("start", "first", pl.lit(0, pl.Int64)),
            end=pl.coalesce("end", "lowest", "least"),
        )
        return batches, replicas.join(bounds, on="place").drop("told", "last")


def _differing(batches: pl.DataFrame) -> pl.DataFrame:
    found = batches.group_by("place", "offset").agg(
        pl.col("topic", "partition", "client").first(),
        low=pl.struct("value", "sequence").n_unique(),
        replicas=pl.col("client").cast(pl.String),
        fingerprints=pl.col("value"),
    )
    return found.filter(pl.col("low") > 1)


def _missing(batches: pl.DataFrame, replicas: pl.DataFrame) -> pl.DataFrame:
    there = batches.select("topic", "partition", "place", "offset").unique(["place", "offset"])
    holders = replicas.select("place", "client", "own_end", "in_sync")
    due = there.join(holders, on="place").filter(pl.col("in_sync") | (pl.col("offset") < pl.col("own_end")))
    return due.join(batches, on=["place", "offset", "client"], how="anti")


def _differs(row: dict[str, Any]) -> str:
    said = ", ".join(
        f"{name} {mark}" for name, mark in zip(row["replicas"], row["fingerprints"], strict=True)
    )
    return f"The batch at offset {row['offset']} of {row['topic']}-{row['partition']} differs, by fingerprint: {said}."


def _lacks(row: dict[str, Any]) -> str:
    return (
        f"{row['client']} lacks the batch at offset {row['offset']} of {row['topic']}-{row['partition']}, which other "
        f"replicas hold; its log ends at {row['own_end']}."
    )
