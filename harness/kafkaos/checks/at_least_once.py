"""At least once: every acknowledged record of its partitions is processed by each group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.seen import ByPartition, Seen
from kafkaos.checks.story import at, first_rows, witness
from kafkaos.checks.transactions import surely_committed
from kafkaos.checks.verdict import Verdict, plural
from kafkaos.checks.work import confirmed_commits, first_positions, worked
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
        owed, missing = _owed_and_missing(recording, _placed(recording, acked), work)
        left_out = missing.filter(pl.col("offset") < pl.col("furthest"))
        rows = first_rows(left_out, "invoked_ns")
        return Seen(
            counts={
                "work": work.height,
                "acknowledged": acked.height,
                "owed": owed,
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


def _placed(recording: Recording, acked: pl.DataFrame) -> pl.DataFrame:
    """Acknowledged records that lie in the log, at the place and offset where they do."""
    log = (
        surely_committed(recording, views.log(recording))
        .select("here", "value", "place", "partition", "offset", "spot")
        .drop_nulls("value")
    )
    if log.is_empty():
        return acked.drop_nulls("spot")
    there = views.in_log(recording, acked)
    if log["here"].n_unique() < log.height:  # a record that lies at several offsets is owed at the first
        there &= ~acked["here"].is_in(log["here"].filter(log["here"].is_duplicated()).implode())
    lying = log.drop("value").unique("here", keep="first")
    elsewhere = acked.filter(~there).drop("place", "partition", "offset", "spot").join(lying, on="here")
    return pl.concat([acked.filter(there), elsewhere.select(acked.columns)])


def _owed_and_missing(
    recording: Recording, placed: pl.DataFrame, work: pl.DataFrame
) -> tuple[int, pl.DataFrame]:
    """How many records are owed to groups that began before them, and those that were not worked on.

    `furthest` is the first offset behind all that the group worked on, or committed, in that place.
    """
    slim = placed.select("place", "offset", "spot", "here", nth=pl.int_range(pl.len()))
    owed, missing = 0, [placed.clear().with_columns(furthest=pl.lit(None, pl.Int64))]
    for (group,), begins in first_positions(recording).group_by("group", maintain_order=True):
        mine = slim.join(begins.select("place", "begin"), on="place").filter(
            pl.col("offset") >= pl.col("begin")
        )
        owed += mine.height
        done = work.filter(pl.col("group") == group)
        # Work on a record whose value nobody told is known by its offset.
        unnamed = done.filter(pl.col("value").is_null())
        lacking = mine.join(done.select("here"), on="here", how="anti").join(
            unnamed.select("spot"), on="spot", how="anti"
        )
        if lacking.height:
            furthest = _furthest(recording, done, str(group))
            label = pl.lit(group, placed.schema["group"])
            missing.append(
                placed[lacking["nth"]].with_columns(group=label).join(furthest, on="place", how="left")
            )
    return owed, pl.concat(missing)


def _furthest(recording: Recording, done: pl.DataFrame, group: str) -> pl.DataFrame:
    commits = confirmed_commits(recording).filter(pl.col("group") == group)
    parts = [
        done.select("place", furthest=pl.col("offset") + 1),
        commits.select("place", furthest="offset").drop_nulls(),
    ]
    return pl.concat(parts).group_by("place").agg(pl.col("furthest").max())


def _sentence(row: dict[str, Any]) -> str:
    return (
        f"Record {row['value']} in {at(row)} was acknowledged to {row['client']}, but group {row['group']} never "
        f"processed it and went on behind it, up to offset {row['furthest']}."
    )
