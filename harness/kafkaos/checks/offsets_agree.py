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
from kafkaos.history.columns import ROW_KEY

_NEEDED = ["source", "client", "topic", "partition", "place", "offset", "value", "spot", "here", "at_ns"]


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
        sightings = _sightings(recording)
        doubtful = _doubtful(recording, sightings)
        seen = pl.concat(table.join(doubtful, on="spot", how="semi") for table in sightings)
        places = seen.group_by("spot").agg(low=pl.col("value").min(), high=pl.col("value").max())
        contested = places.filter(pl.col("low") != pl.col("high")).select("spot")
        details = seen.join(contested, on="spot", how="semi")
        undoubted = views.log(recording).drop_nulls(["spot", "value"]).join(doubtful, on="spot", how="anti")
        moved = _moved(recording)
        gone = self._gone(recording)
        groups = first_rows(
            details.group_by("spot").agg(
                pl.col("topic", "partition", "offset", "client").first(),
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
                "sightings": sum(table.height for table in sightings),
                "offsets": undoubted.height + places.height,
                "contested": contested.height,
                "moved": moved.height,
                "gone": gone.height,
            },
            most={"_observers": sum(table["client"].n_unique() for table in sightings)},
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
        reads = views.reads(recording)
        return (
            reads.filter(~views.in_log(recording, reads))
            .filter(~pl.col("topic").cast(pl.String).is_in(self.compacted))
            .join(views.log(recording).select("spot"), on="spot", how="anti")
            .join(extents, on="place")
            .filter(
                (pl.col("offset") >= pl.col("start").fill_null(0))
                & (pl.col("whole") | (pl.col("offset") < pl.col("passed")))
            )
            .unique(["place", "offset"], keep="first", maintain_order=True)
            .rename({"invoked_ns": "seen_ns"})
            .drop("completed_ns")
        )


def _sightings(recording: Recording) -> list[pl.DataFrame]:
    """Who saw which value where. Corrupt records are left to the check for phantoms."""
    parts = [
        (views.sends(recording).filter(pl.col("outcome") == "ok"), "acknowledgement", "completed_ns"),
        (views.reads(recording).filter(~pl.col("corrupt")), "reader", "invoked_ns"),
        (views.finals(recording).filter(~pl.col("corrupt")), "final reader", "invoked_ns"),
    ]
    kind = pl.Enum([name for _, name, _ in parts])
    return [
        table.with_columns(source=pl.lit(name, dtype=kind), at_ns=pl.col(time))
        .select(_NEEDED)
        .drop_nulls(["spot", "value"])
        for table, name, time in parts
    ]


def _doubtful(recording: Recording, sightings: list[pl.DataFrame]) -> pl.DataFrame:
    """The spots at which something was seen that the log has not, or for which the log has several records."""
    several = (
        views.log(recording).select("spot").drop_nulls().filter(pl.col("spot") == pl.col("spot").shift())
    )
    foreign = [table.filter(~views.in_log(recording, table)).select("spot") for table in sightings]
    return pl.concat([several, *foreign]).unique()


def _moved(recording: Recording) -> pl.DataFrame:
    """Acknowledged records that are in the log, but not where the acknowledgement said."""
    log = views.log(recording).filter(pl.col("value").is_not_null())
    acked = views.sends(recording).filter(pl.col("outcome") == "ok").drop_nulls("spot")
    elsewhere = acked.filter(~views.in_log(recording, acked))
    elsewhere = elsewhere.join(log, on=["place", "offset", "value"], how="anti")
    # Retention took what lies below the log's start; the same value sent again lies where that was acknowledged.
    starts = views.extents(recording).select("place", begun=pl.col("start").fill_null(0))
    elsewhere = elsewhere.join(starts, on="place", how="left")
    elsewhere = elsewhere.filter(pl.col("offset") >= pl.col("begun").fill_null(0)).drop("begun")
    if views.only_committed(recording):  # which shows no aborted record, only its successor
        elsewhere = elsewhere.join(views.acknowledged(recording).select(ROW_KEY), on=ROW_KEY, how="semi")
    lies = log.select("here", lies_partition="partition", lies_offset="offset")
    return elsewhere.join(lies, on="here", how="inner").unique("value", keep="first")


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
