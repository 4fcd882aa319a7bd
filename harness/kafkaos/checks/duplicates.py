"""No duplicates: one send is at one offset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable
from kafkaos.checks.seen import ByPartition, Seen
from kafkaos.checks.story import first_rows, witness
from kafkaos.checks.verdict import Verdict, plural
from kafkaos.history import Recording


@dataclass(frozen=True, kw_only=True)
class NoDuplicates(ByPartition):
    """Offsets of a value are counted over the log and all readers; reading one offset again is no duplicate.

    A value that was sent n times may be there n times. With `unknown_may_repeat` (a producer without
    idempotence) a send that ended unknown may be there any number of times. `may_repeat` names clients, producers
    without idempotence, of which any send may: a leader that is voted out answers NOT_LEADER_OR_FOLLOWER for what it
    has written and replicated already, and librdkafka sends that again whatever `retries` says (seen with 0).
    """

    name: ClassVar[str] = "no_duplicates"
    title: ClassVar[str] = "No record is in the log more often than it was sent"
    topic_wide: ClassVar[bool] = True
    mutations: ClassVar[tuple[str, ...]] = ("double_final", "double_final_elsewhere")

    unknown_may_repeat: bool = False
    may_repeat: tuple[str, ...] = ()

    def look(self, recording: Recording) -> Seen:
        seen = [
            table.filter(~pl.col("corrupt"))
            .select("topic", "place", "partition", "offset", "value", "spot", "here")
            .drop_nulls(["value", "spot"])
            for table in (views.finals(recording), views.reads(recording))
        ]
        # A record that is seen where the log has it adds nothing.
        log = views.log(recording).select("here", "spot").drop_nulls()
        elsewhere = [table.filter(~views.in_log(recording, table)).select("here", "spot") for table in seen]
        spread = pl.concat([log, *elsewhere])
        values = spread["here"].n_unique()
        several = spread.clear()
        if values < spread.height:
            spots = spread.group_by("here").agg(low=pl.col("spot").min(), high=pl.col("spot").max())
            several = spots.filter(pl.col("low") != pl.col("high")).select("here")
        rows, duplicated, excused = [], 0, 0
        if several.height:
            found = self._beyond_sent(recording, pl.concat(seen), several)
            doubled = found.filter(~pl.col("excused"))
            rows, duplicated = first_rows(doubled, "invoked_ns", "value"), doubled.height
            excused = found.height - duplicated
        return Seen(
            counts={"values": values, "duplicated": duplicated, "_excused": excused},
            told={"twice": [witness(recording, _twice(row), row) for row in rows]},
        )

    def conclude(self, seen: Seen) -> Verdict:
        counts, values, doubled = seen.all_counts(), seen.counts["values"], seen.counts["duplicated"]
        if not values:
            return not_applicable(self, "No record was read, so no duplicate could be seen.")
        if not doubled:
            excused = seen.counts["_excused"]
            but = f" but {excused:,}, which may repeat" if excused else ""
            return held(self, f"{plural(values, 'record')}, each at one offset{but}.", counts)
        return broke(
            self,
            f"{plural(doubled, 'record')} of {values:,} {'is' if doubled == 1 else 'are'} "
            "in the log more than once.",
            counts,
            seen.witnesses("twice"),
        )

    def _beyond_sent(self, recording: Recording, seen: pl.DataFrame, several: pl.DataFrame) -> pl.DataFrame:
        """The values at more offsets than they were sent, with their offsets, first send, and whether they may."""
        offsets = (
            seen.join(several, on="here", how="semi")
            .unique(["spot", "here"])
            .sort("spot")
            .group_by("here", maintain_order=True)
            .agg(pl.col("topic", "value").first(), partitions=pl.col("partition"), offsets=pl.col("offset"))
        )
        sent = (
            views.sends(recording)
            .join(several, on="here", how="semi")
            .group_by("here")
            .agg(
                pl.col("client", "invoked_ns", "completed_ns").first(),
                sends=(pl.col("outcome") != "fail").sum(),
                doubtful=(pl.col("outcome") == "info").any(),
            )
        )
        found = offsets.join(sent, on="here", how="left").filter(
            pl.col("offsets").list.len() > pl.max_horizontal(pl.col("sends").fill_null(1), 1)
        )
        excused = pl.col("client").cast(pl.String).is_in(self.may_repeat).fill_null(False)
        if self.unknown_may_repeat:
            excused |= pl.col("doubtful").fill_null(False)
        return found.with_columns(
            excused=excused,
            partition=pl.col("partitions").list.last(),
            offset=pl.col("offsets").list.last(),
        )


def _twice(row: dict[str, Any]) -> str:
    places = ", ".join(
        f"{row['topic']}-{partition} at offset {offset}"
        for partition, offset in zip(row["partitions"], row["offsets"], strict=True)
    )
    times = plural(row["sends"] or 0, "time")
    return f"Record {row['value']} was sent {times} and is in {places}."
