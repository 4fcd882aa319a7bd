"""Producer order: a producer's acknowledged records lie in a partition in the order sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.positions import with_log_offsets
from kafkaos.checks.seen import ByPartition, Seen
from kafkaos.checks.story import first_rows, witness
from kafkaos.checks.verdict import Verdict, plural
from kafkaos.history import Recording

_LINE = ["client", "incarnation", "place"]


@dataclass(frozen=True, kw_only=True)
class ProducerOrder(ByPartition):
    """Program order (the row number) against offsets, for each incarnation and partition.

    Where an acknowledgement came without an offset, the log's offset of that value is taken.
    """

    name: ClassVar[str] = "producer_order"
    title: ClassVar[str] = "A producer's acknowledged records lie in a partition in the order sent"
    mutations: ClassVar[tuple[str, ...]] = ("swap_acknowledgements", "move_acknowledgement")

    def look(self, recording: Recording) -> Seen:
        acked = views.sends(recording).filter(pl.col("outcome") == "ok")
        placed = with_log_offsets(acked, views.log(recording)).drop_nulls(["place", "offset"])
        ordered = placed.sort("row").with_columns(
            highest=pl.col("offset").cum_max().shift().over(_LINE),
        )
        fallen = ordered.filter(pl.col("offset") < pl.col("highest"))
        rows = first_rows(fallen, "invoked_ns", "row")
        return Seen(
            counts={
                "sent": views.sends(recording).height,
                "acknowledged": acked.height,
                "placed": placed.height,
                "fallen": fallen.height,
            },
            told={"fallen": [witness(recording, _fallen(row), row) for row in rows]},
        )

    def conclude(self, seen: Seen) -> Verdict:
        counts, placed, fallen = seen.all_counts(), seen.counts["placed"], seen.counts["fallen"]
        if not seen.counts["sent"]:
            return not_applicable(self, "Nothing was sent.")
        if not placed:
            return unknown(
                self, "No acknowledged send has a known offset, so there is no order to judge.", counts
            )
        if not fallen:
            return held(self, f"{plural(placed, 'acknowledged record')} in the order sent.", counts)
        return broke(
            self,
            f"{plural(fallen, 'acknowledged record')} of {placed:,} {'lies' if fallen == 1 else 'lie'} "
            "before an earlier one of the same producer.",
            counts,
            seen.witnesses("fallen"),
        )


def _fallen(row: dict[str, Any]) -> str:
    return (
        f"{row['client']} sent record {row['value']} to {row['topic']}-{row['partition']} after the one at "
        f"offset {row['highest']}, but it lies at offset {row['offset']}."
    )
