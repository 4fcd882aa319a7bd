"""At least once: every acknowledged record of its partitions is processed by each group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.seen import ByPartition, Seen
from kafkaos.checks.story import at, first_rows, witness
from kafkaos.checks.transactions import HERE, numbered
from kafkaos.checks.verdict import Verdict, plural
from kafkaos.checks.work import GROUP_PLACE, first_positions, worked
from kafkaos.history import Recording


@dataclass(frozen=True, kw_only=True)
class AtLeastOnce(ByPartition):
    """Judged for each group that did any work, in the partitions that it was assigned or given, from its first
    position on. Work is what `process` rows tell; of a group without any, its deliveries are its work.

    A record was left out if the group worked on, or committed, something behind it; what lies behind all its
    work is not processed yet, which is unknown. Exempt are records that the final reader did not find (they
    are lost, retained away or compacted).
    """

    name: ClassVar[str] = "at_least_once"
    title: ClassVar[str] = "Every acknowledged record is processed by each group"
    topic_wide: ClassVar[bool] = True
    mutations: ClassVar[tuple[str, ...]] = ("leave_out_work",)

    def look(self, recording: Recording) -> Seen:
        work = worked(recording)
        acked = views.acknowledged(recording)
        owed = _owed(recording, acked)
        done = numbered(work.drop_nulls("value")).select("group", *HERE).unique()
        missing = numbered(owed).join(done, on=["group", *HERE], how="anti")
        missing = missing.join(_furthest(recording, work), on=GROUP_PLACE, how="left")
        left_out = missing.filter(pl.col("offset") < pl.col("furthest"))
        rows = first_rows(left_out, "invoked_ns")
        return Seen(
            counts={
                "work": work.height,
                "acknowledged": acked.height,
                "owed": owed.height,
                "left_out": left_out.height,
                "waiting": missing.height - left_out.height,
            },
            most={"groups": work["group"].n_unique()},
            told={"left_out": [witness(recording, _sentence(row), row) for row in rows]},
        )

    def conclude(self, seen: Seen) -> Verdict:
        counts, owed, left_out = seen.all_counts(), seen.counts["owed"], seen.counts["left_out"]
        if not seen.counts["work"]:
            return not_applicable(self, "No work of a group was recorded.")
        if not seen.counts["acknowledged"]:
            return not_applicable(self, "No send was acknowledged.")
        if left_out:
            return broke(
                self,
                f"{plural(left_out, 'record')} of {owed:,} {'was' if left_out == 1 else 'were'} "
                "left out by a group.",
                counts,
                seen.witnesses("left_out"),
            )
        if not owed:
            return unknown(self, "No acknowledged record lies where a group worked.", counts)
        if waiting := seen.counts["waiting"]:
            return unknown(
                self, f"{plural(waiting, 'record')} of {owed:,} had not been processed yet.", counts
            )
        return held(self, f"{plural(owed, 'record')}, all processed by their groups.", counts)


def _owed(recording: Recording, acked: pl.DataFrame) -> pl.DataFrame:
    """Acknowledged records that lie in the log, for each group that began before them."""
    placed = numbered(acked).drop("place", "partition", "offset", "group")
    log = numbered(views.log(recording).drop_nulls("value"))
    if log.height:
        lying = log.select(*HERE, "place", "partition", "offset").unique(HERE, keep="first")
        placed = placed.join(lying, on=HERE)
    else:
        known = acked.drop_nulls(["place", "offset"])
        placed = numbered(known).drop("group")
    groups = first_positions(recording)
    return placed.join(groups, on="place").filter(pl.col("offset") >= pl.col("begin"))


def _furthest(recording: Recording, work: pl.DataFrame) -> pl.DataFrame:
    """For each group and place the first offset behind all that it worked on or committed."""
    commits = views.of_op(recording, "commit", "outcome").filter(pl.col("outcome") == "ok")
    parts = [
        work.select(*GROUP_PLACE, furthest=pl.col("offset") + 1),
        commits.select(*GROUP_PLACE, furthest="offset").drop_nulls(),
    ]
    return pl.concat(parts).group_by(GROUP_PLACE).agg(pl.col("furthest").max())


def _sentence(row: dict[str, Any]) -> str:
    return (
        f"Record {row['value']} in {at(row)} was acknowledged to {row['client']}, but group {row['group']} never "
        f"processed it and went on behind it, up to offset {row['furthest']}."
    )
