"""Producer order: a producer's acknowledged records lie in a partition in the order sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.positions import with_log_offsets
from kafkaos.checks.story import first_rows, witness
from kafkaos.checks.verdict import Verdict, plural
from kafkaos.history import Recording

_LINE = ["client", "incarnation", "place"]


@dataclass(frozen=True, kw_only=True)
class ProducerOrder:
    """Program order (the row number) against offsets, for each incarnation and partition.

    Where an acknowledgement came without an offset, the log's offset of that value is taken.
    """

    name: ClassVar[str] = "producer_order"
    title: ClassVar[str] = "A producer's acknowledged records lie in a partition in the order sent"
    mutations: ClassVar[tuple[str, ...]] = ("swap_acknowledgements", "move_acknowledgement")

    def judge(self, recording: Recording) -> Verdict:
        acked = views.sends(recording).filter(pl.col("outcome") == "ok")
        if views.sends(recording).is_empty():
            return not_applicable(self, "Nothing was sent.")
        placed = with_log_offsets(acked, views.log(recording)).drop_nulls(["place", "offset"])
        counts: dict[str, int | float] = {"acknowledged": acked.height, "placed": placed.height, "fallen": 0}
        if placed.is_empty():
            return unknown(
                self, "No acknowledged send has a known offset, so there is no order to judge.", counts
            )
        ordered = placed.sort("row").with_columns(
            highest=pl.col("offset").cum_max().shift().over(_LINE),
        )
        fallen = ordered.filter(pl.col("offset") < pl.col("highest"))
        counts["fallen"] = fallen.height
        if fallen.is_empty():
            return held(
                self, f"{plural(placed.height, 'acknowledged record')} lie in the order sent.", counts
            )
        return broke(
            self,
            f"{plural(fallen.height, 'acknowledged record')} of {placed.height:,} "
            f"{'lies' if fallen.height == 1 else 'lie'} before an earlier one of the same producer.",
            counts,
            [witness(recording, _fallen(row), row) for row in first_rows(fallen, "invoked_ns", "row")],
        )


def _fallen(row: dict[str, Any]) -> str:
    return (
        f"{row['client']} sent record {row['value']} to {row['topic']}-{row['partition']} after the one at "
        f"offset {row['highest']}, but it lies at offset {row['offset']}."
    )
