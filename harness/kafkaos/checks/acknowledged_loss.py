"""No acknowledged loss: every record that the cluster acknowledged is in the log at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.fates import classify
from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.seen import ByPartition, Seen
from kafkaos.checks.story import at, first_rows, witness
from kafkaos.checks.verdict import Count, Verdict, plural
from kafkaos.history import Recording


@dataclass(frozen=True, kw_only=True)
class NoAcknowledgedLoss(ByPartition):
    """A missing record is *lost* if the final reader passed it or reached the high watermark, else unseen.

    Exempt are records below the log's start (retention) and, in the topics named in `compacted`, records
    whose key has a later record. A value that was sent twice and acknowledged twice must be there once.
    """

    name: ClassVar[str] = "no_acknowledged_loss"
    title: ClassVar[str] = "Every acknowledged record is in the log at the end"
    topic_wide: ClassVar[bool] = True
    mutations: ClassVar[tuple[str, ...]] = (
        "drop_final",
        "drop_final_tail",
        "retopic_final",
        "corrupt_final",
        "drop_committed",
    )

    compacted: tuple[str, ...] = ()

    def look(self, recording: Recording) -> Seen:
        acked = views.acknowledged(recording)
        extents = views.extents(recording)
        missing = _missing(acked, views.log(recording))
        missing = self._without_compacted(recording, missing)
        missing = self._keyless(classify(missing, extents, views.nameless(recording)))
        hidden = self._without_compacted(recording, _hidden(recording, acked))
        lost = pl.concat([missing.filter(pl.col("fate") == "lost"), hidden], how="diagonal")
        unseen = missing.filter(pl.col("fate").is_in(["unseen", "keyless"]))
        return Seen(
            counts={
                "sent": views.sends(recording).height,
                "acknowledged": acked.height,
                "lost": lost.height,
                "unseen": unseen.height,
                "below_log_start": missing.filter(pl.col("fate") == "exempt").height,
                "_nameless": views.acknowledged_nameless(recording).height,
            },
            most={"_partitions_looked_at": extents.height},
            told={
                "lost": [witness(recording, _lost(row), row) for row in first_rows(lost, "invoked_ns")],
                "unseen": [witness(recording, _unseen(row), row) for row in first_rows(unseen, "invoked_ns")],
            },
        )

    def conclude(self, seen: Seen) -> Verdict:
        counts, acked = seen.all_counts(), seen.counts["acknowledged"]
        nameless = seen.counts["_nameless"]
        if not acked and not nameless:
            if not seen.counts["sent"]:
                return not_applicable(self, "Nothing was sent, so nothing could be lost.")
            return unknown(self, "No send was acknowledged, so nothing could be lost.", counts)
        if not seen.most["_partitions_looked_at"]:
            return unknown(self, "No final reader looked at the log, so no loss could be seen.")
        if lost := seen.counts["lost"]:
            return broke(
                self,
                f"{plural(lost, 'acknowledged record')} of {acked:,} {'is' if lost == 1 else 'are'} "
                "not in the log at the end.",
                counts,
                seen.witnesses("lost"),
            )
        if unseen := seen.counts["unseen"]:
            return unknown(
                self,
                f"{plural(unseen, 'acknowledged record')} of {acked:,} may be in the log: "
                "the final reader did not get there, or did not know what it found, or compaction took it.",
                counts,
                seen.witnesses("unseen"),
            )
        return self._accounted(acked, nameless, counts)

    def _accounted(self, acked: int, nameless: int, counts: dict[str, Count]) -> Verdict:
        if nameless:
            return unknown(
                self,
                f"{plural(nameless, 'acknowledged send')} of {acked + nameless:,} {'has' if nameless == 1 else 'have'} "
                "no value, so nobody can look for them in the log.",
                counts,
            )
        gone = counts["below_log_start"]
        exempt = f", {gone:,} of them as older than the log's start" if gone else ""
        all_of_them = (
            "The 1 acknowledged record is" if acked == 1 else f"All {acked:,} acknowledged records are"
        )
        return held(self, f"{all_of_them} accounted for{exempt}.", counts)

    def _keyless(self, missing: pl.DataFrame) -> pl.DataFrame:
        """A compacted topic has no records without a key: one that nobody told may have been replaced."""
        untold = pl.col("topic").cast(pl.String).is_in(self.compacted) & pl.col("key").is_null()
        doubtful = untold & (pl.col("fate") == "lost")
        return missing.with_columns(fate=pl.when(doubtful).then(pl.lit("keyless")).otherwise("fate"))

    def _without_compacted(self, recording: Recording, missing: pl.DataFrame) -> pl.DataFrame:
        if not self.compacted or missing.is_empty():
            return missing
        # The key stands on a record's send; a final reader need not tell it again.
        keys = views.sends(recording).drop_nulls("key").select("here", sent_key="key").unique("here")
        log = views.log(recording).join(keys, on="here", how="left")
        log = log.with_columns(key=pl.coalesce("key", "sent_key"))
        last = log.filter(pl.col("key").is_not_null()).group_by("place", "key")
        found = missing.join(last.agg(last=pl.col("offset").max()), on=["place", "key"], how="left")
        replaced = pl.col("topic").cast(pl.String).is_in(self.compacted) & (
            pl.col("offset").is_null() | (pl.col("offset") < pl.col("last"))
        )
        return found.filter(~(replaced & pl.col("last").is_not_null())).drop("last")


def _missing(acked: pl.DataFrame, log: pl.DataFrame) -> pl.DataFrame:
    return acked.join(log.select("here"), on="here", how="anti")


def _hidden(recording: Recording, acked: pl.DataFrame) -> pl.DataFrame:
    """What lies in the log, but was passed over by the reader of committed records.

    The log may begin later for it: retention goes on between the two readings.
    """
    log, committed = views.log(recording), views.committed_log(recording)
    passed = committed.group_by("place").agg(passed=pl.col("offset").max())
    starts = views.extents(recording, committed=True).select("place", begun=pl.col("start").fill_null(0))
    passed = passed.join(starts, on="place")
    found = acked.join(committed.select("here"), on="here", how="anti")
    found = found.join(log.select("here"), on="here", how="semi").join(passed, on="place")
    nameless = committed.filter(pl.col("value").is_null() & ~pl.col("corrupt"))
    found = found.join(nameless.select("spot"), on="spot", how="anti")
    between = (pl.col("offset") >= pl.col("begun")) & (pl.col("offset") < pl.col("passed"))
    return found.filter(between).with_columns(fate=pl.lit("hidden"))


def _lost(row: dict[str, Any]) -> str:
    where = f"{row['client']} was told that record {row['value']} is in {at(row)}"
    if row["fate"] == "hidden":
        return f"{where}; a reader of committed records was not given it."
    return f"{where}; the final reader did not find it."


def _unseen(row: dict[str, Any]) -> str:
    where = f"{row['client']} was told that record {row['value']} is in {at(row)}"
    if row["fate"] == "keyless":
        return f"{where}; no row tells its key, so compaction may have taken it."
    return f"{where}; no final reader got that far, or knew what it found there."
