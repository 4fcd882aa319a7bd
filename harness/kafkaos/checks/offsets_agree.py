"""Offsets agree: one place in the log holds one record, whoever is asked, and keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable
from kafkaos.checks.seen import ByPartition, Seen
from kafkaos.checks.story import at, first_rows, witness
from kafkaos.checks.verdict import Verdict, plural
from kafkaos.history import Recording

_NEEDED = ["source", "client", "topic", "partition", "place", "offset", "value", "at_ns"]


@dataclass(frozen=True, kw_only=True)
class OffsetsAgree(ByPartition):
    """Acknowledgements, readers and the final reader are compared at each (partition, offset).

    Broken by two values at one offset, by an acknowledged record that lies elsewhere than was said, and by a
    delivered record whose offset the final reader passed without finding anything (the log was cut and not
    written again), except below the log's start and in the topics named in `compacted`.
    """

    name: ClassVar[str] = "offsets_agree"
    title: ClassVar[str] = "One offset of a partition holds one record, whoever looks"
    topic_wide: ClassVar[bool] = True
    mutations: ClassVar[tuple[str, ...]] = (
        "rewrite_final",
        "rewrite_read",
        "swap_finals",
        "move_final",
        "move_acknowledgement",
        "drop_final_that_was_read",
    )

    compacted: tuple[str, ...] = ()

    def look(self, recording: Recording) -> Seen:
        seen = _sightings(recording)
        places = seen.group_by("place", "offset").agg(low=pl.col("value").min(), high=pl.col("value").max())
        contested = places.filter(pl.col("low") != pl.col("high")).select("place", "offset")
        details = (
            seen.join(contested, on=["place", "offset"], how="semi") if contested.height else seen.clear()
        )
        moved = _moved(recording)
        gone = self._gone(recording)
        groups = first_rows(
            details.group_by("place", "offset").agg(
                pl.col("topic", "partition", "client").first(),
                pl.col("value", "source", "at_ns"),
                seen_ns=pl.col("at_ns").max(),
            ),
            "seen_ns",
        )
        told = {
            "contested": [
                witness(recording, _contested(row), row | {"value": row["value"][-1]}) for row in groups
            ],
            "moved": [
                witness(recording, _moved_sentence(row), row) for row in first_rows(moved, "completed_ns")
            ],
            "gone": [witness(recording, _gone_sentence(row), row) for row in first_rows(gone, "seen_ns")],
        }
        return Seen(
            counts={
                "sightings": seen.height,
                "offsets": places.height,
                "contested": contested.height,
                "moved": moved.height,
                "gone": gone.height,
            },
            most={"_observers": seen.select(pl.struct("source", "client").n_unique()).item()},
            told=told,
        )

    def conclude(self, seen: Seen) -> Verdict:
        counts, offsets = seen.all_counts(), seen.counts["offsets"]
        total = seen.counts["contested"] + seen.counts["moved"] + seen.counts["gone"]
        if seen.most["_observers"] < 2:
            return not_applicable(
                self, "Too little to compare: offsets were seen from one side or none.", counts
            )
        if not total:
            return held(self, f"All sides agree on {plural(offsets, 'offset')}.", counts)
        witnesses = seen.witnesses("contested", "moved", "gone")
        return broke(
            self, f"{plural(total, 'offset')} of {offsets:,} differ by who is asked.", counts, witnesses
        )

    def _gone(self, recording: Recording) -> pl.DataFrame:
        """Deliveries at an offset that the final reader passed and found empty."""
        if views.only_committed(recording):
            return views.reads(recording).clear().with_columns(seen_ns=pl.col("invoked_ns"))
        extents = views.extents(recording).select("place", "start", "passed", "whole")
        return (
            views.reads(recording)
            .filter(~pl.col("topic").cast(pl.String).is_in(self.compacted))
            .join(views.log(recording), on=["place", "offset"], how="anti")
            .join(extents, on="place")
            .filter(
                (pl.col("offset") >= pl.col("start").fill_null(0))
                & (pl.col("whole") | (pl.col("offset") < pl.col("passed")))
            )
            .unique(["place", "offset"], keep="first", maintain_order=True)
            .rename({"invoked_ns": "seen_ns"})
            .drop("completed_ns")
        )


def _sightings(recording: Recording) -> pl.DataFrame:
    """Who saw which value where. Corrupt records are left to the check for phantoms."""
    acked = views.sends(recording).filter(pl.col("outcome") == "ok")
    parts = [
        (acked, "acknowledgement", "completed_ns"),
        (views.reads(recording).filter(~pl.col("corrupt")), "reader", "invoked_ns"),
        (views.finals(recording).filter(~pl.col("corrupt")), "final reader", "invoked_ns"),
    ]
    kind = pl.Enum([name for _, name, _ in parts])
    return pl.concat(
        table.with_columns(source=pl.lit(name, dtype=kind), at_ns=pl.col(time)).select(_NEEDED)
        for table, name, time in parts
    ).drop_nulls(["place", "offset", "value"])


def _moved(recording: Recording) -> pl.DataFrame:
    """Acknowledged records that are in the log, but not where the acknowledgement said."""
    log = views.log(recording).filter(pl.col("value").is_not_null())
    acked = views.sends(recording).filter(pl.col("outcome") == "ok").drop_nulls(["place", "offset"])
    elsewhere = acked.join(log, on=["place", "offset", "value"], how="anti")
    here = [pl.col("topic").to_physical(), pl.col("value")]
    found = log.select("topic", "value", lies_partition="partition", lies_offset="offset")
    return elsewhere.join(found, left_on=here, right_on=here, how="inner").unique("value", keep="first")


def _contested(row: dict[str, Any]) -> str:
    said = [
        f"{source} says {value}"
        for source, value in dict.fromkeys(zip(row["source"], row["value"], strict=True))
    ]
    return f"{at(row)} holds different records: {', '.join(said)}."


def _moved_sentence(row: dict[str, Any]) -> str:
    return (
        f"Record {row['value']} was acknowledged in {at(row)}, but lies in partition {row['lies_partition']} "
        f"at offset {row['lies_offset']}."
    )


def _gone_sentence(row: dict[str, Any]) -> str:
    return f"{row['client']} read record {row['value']} in {at(row)}; at the end nothing is at that offset."
