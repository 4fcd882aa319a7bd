"""Real-time order: what is sent after another record was acknowledged lies behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.positions import with_log_offsets
from kafkaos.checks.seen import ByPartition, Seen
from kafkaos.checks.story import at, first_rows, since_start_s, witness
from kafkaos.checks.verdict import Verdict, plural
from kafkaos.history import Recording


@dataclass(frozen=True, kw_only=True)
class RealTimeOrder(ByPartition):
    """Within a partition, over all producers: no record has a smaller offset than one that was acknowledged
    before it was sent. Offsets order the log, so no search is needed: going down the offsets, no send may
    have begun after the earliest acknowledgement met so far.
    """

    name: ClassVar[str] = "real_time_order"
    title: ClassVar[str] = "A record that is sent after another's acknowledgement lies behind it"
    mutations: ClassVar[tuple[str, ...]] = ("overtake_an_acknowledged_send",)

    def look(self, recording: Recording) -> Seen:
        acked = views.sends(recording).filter(pl.col("outcome") == "ok")
        placed = with_log_offsets(acked, views.log(recording)).drop_nulls(["place", "offset", "completed_ns"])
        sent = placed.select("place", "offset", "spot", "invoked_ns", "completed_ns").sort("spot")
        # One row an offset: after an unclean election two records were acknowledged at the same one, neither behind.
        offsets = (
            sent.group_by("spot", maintain_order=True).agg(
                pl.col("place").first(), pl.col("completed_ns").min()
            )
            if sent["spot"].n_unique() < sent.height
            else sent
        )
        # From behind: the earliest acknowledgement at any higher offset of the same partition.
        earliest = pl.col("completed_ns").cum_min(reverse=True).shift(-1).over("place").alias("behind_ns")
        behind = offsets.select("spot", earliest)
        sent = sent.join(behind, on="spot") if offsets is not sent else sent.with_columns(behind["behind_ns"])
        early = sent.filter(pl.col("invoked_ns") > pl.col("behind_ns"))
        rows = first_rows(early, "invoked_ns")
        return Seen(
            counts={
                "acknowledged": acked.height,
                "placed": placed.height,
                "overtaken": early.height,
                "_timed": acked["completed_ns"].count(),
            },
            told={"overtaken": [_witness(recording, placed, row) for row in rows]},
        )

    def conclude(self, seen: Seen) -> Verdict:
        counts, placed, early = seen.all_counts(), seen.counts["placed"], seen.counts["overtaken"]
        if not seen.counts["acknowledged"]:
            return not_applicable(self, "No send was acknowledged.")
        if not seen.counts["_timed"]:
            return not_applicable(self, "Of no acknowledged send the completion is known.", counts)
        if not placed:
            return unknown(
                self, "No acknowledged send has a known offset, so there is no order to judge.", counts
            )
        if not early:
            return held(self, f"{plural(placed, 'acknowledged record')} in the order of real time.", counts)
        return broke(
            self,
            f"{plural(early, 'record')} {'lies' if early == 1 else 'lie'} before others that had been "
            "acknowledged before it was sent.",
            counts,
            seen.witnesses("overtaken"),
        )


def _witness(recording: Recording, placed: pl.DataFrame, row: dict[str, Any]) -> Any:
    here = placed.filter(pl.col("place") == row["place"])
    late = here.filter((pl.col("offset") == row["offset"]) & (pl.col("invoked_ns") == row["invoked_ns"])).row(
        0, named=True
    )
    behind = here.filter(
        (pl.col("offset") > row["offset"]) & (pl.col("completed_ns") == row["behind_ns"])
    ).row(0, named=True)
    sentence = (
        f"{late['client']} sent record {late['value']} at {since_start_s(recording, late['invoked_ns']):.6f} s and it "
        f"lies in {at(late)}; record {behind['value']} at offset {behind['offset']}, behind it, had been acknowledged "
        f"to {behind['client']} at {since_start_s(recording, behind['completed_ns']):.6f} s."
    )
    return witness(recording, sentence, late)
