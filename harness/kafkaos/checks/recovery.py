"""Recovery: after a fault every partition that had been in use is acknowledged again within the limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.seen import ByPartition, Seen
from kafkaos.checks.story import NS_PER_S, Fault, faults, first_rows, witness
from kafkaos.checks.verdict import Verdict, plural
from kafkaos.history import Recording


@dataclass(frozen=True, kw_only=True)
class Recovered(ByPartition):
    """Counted from the moment the injection began (`since="heal"`: the healing) to the last partition's first
    acknowledgement of a send that was invoked when the fault was in place.

    A send invoked before the fault was in place may be acknowledged by the broker that is about to die, so it
    proves nothing. A partition counts if a send to it was acknowledged before the fault. If nobody tried it
    afterwards, or not for longer than the limit, recovery is unknown. A later relapse is for `available`.
    """

    name: ClassVar[str] = "recovered"
    title: ClassVar[str] = "Every partition is acknowledged again within the limit after a fault"
    mutations: ClassVar[tuple[str, ...]] = ("delay_recovery", "never_recover")

    within_s: float = 15.0
    since: Literal["inject", "heal"] = "inject"

    def look(self, recording: Recording) -> Seen:
        known = faults(recording)
        sent = views.sends(recording)
        if not known:
            return Seen(counts={"partitions": 0, "slow": 0, "unseen": 0}, most={"faults": 0})
        table = pl.concat([self._after(fault, place, sent) for place, fault in enumerate(known)])
        slow = table.filter(pl.col("fate") == "slow")
        unseen = table.filter(pl.col("fate") == "unseen")
        longest = table["recovery_s"].max()
        most: dict[str, int | float] = {"faults": len(known)}
        if isinstance(longest, float):
            most["recovery_s"] = round(longest, 6)
        order = ("fault", "topic", "partition")
        return Seen(
            counts={"partitions": table["place"].n_unique(), "slow": slow.height, "unseen": unseen.height},
            most=most,
            told={
                "slow": [
                    witness(recording, self._slow(known[row["fault"]], row), row)
                    for row in first_rows(slow, *order)
                ],
                "unseen": [
                    witness(recording, self._unseen(known[row["fault"]], row), row)
                    for row in first_rows(unseen, *order)
                ],
            },
        )

    def conclude(self, seen: Seen) -> Verdict:
        counts = seen.all_counts()
        if not seen.most["faults"]:
            return not_applicable(self, "No fault was injected, so there was nothing to recover from.")
        if slow := seen.counts["slow"]:
            told = f"{plural(slow, 'partition')} did not recover within {self.within_s:g} s."
            return broke(self, told, counts, seen.witnesses("slow"))
        if not seen.counts["partitions"]:
            return unknown(
                self,
                "No send is known to have been acknowledged before a fault, so recovery cannot be told.",
                counts,
            )
        if unseen := seen.counts["unseen"]:
            return unknown(
                self,
                f"Recovery of {plural(unseen, 'partition')} was not observed: "
                "too little was sent after the fault.",
                counts,
                seen.witnesses("unseen"),
            )
        told = f"All recovered within {counts['recovery_s']:.1f} s, the limit is {self.within_s:g} s."
        return held(self, told, counts)

    def _after(self, fault: Fault, which: int, sent: pl.DataFrame) -> pl.DataFrame:
        """Each partition in use before the fault: when it was acknowledged again, or tried in vain."""
        healing = self.since == "heal"
        never = healing and fault.healed_ns is None
        start_ns = fault.healed_ns if healing and fault.healed_ns is not None else fault.injected_ns
        placed_ns = start_ns if healing else fault.placed_ns
        ok = sent.filter(pl.col("outcome") == "ok").drop_nulls("place")
        used = (
            ok.filter(pl.col("completed_ns") < fault.injected_ns)
            .select("topic", "partition", "place")
            .unique()
        )
        after = sent.filter(pl.col("invoked_ns") >= placed_ns)
        again = (
            after.filter(pl.col("outcome") == "ok")
            .sort("completed_ns")
            .group_by("place")
            .agg(pl.col("client", "value", "offset", "invoked_ns", "completed_ns").first())
        )
        over = pl.max_horizontal("invoked_ns", "completed_ns").max()
        tried = after.drop_nulls("place").group_by("place").agg(tried_ns=over)
        anywhere = after.filter(pl.col("place").is_null()).group_by("topic").agg(anywhere_ns=over)
        limit_ns = int(self.within_s * NS_PER_S)
        waited_ns = pl.max_horizontal("tried_ns", "anywhere_ns") - start_ns
        recovery_ns = pl.col("completed_ns") - start_ns
        return (
            used.join(again, on="place", how="left")
            .join(tried, on="place", how="left")
            .join(anywhere, on="topic", how="left")
            .with_columns(
                fault=pl.lit(which, dtype=pl.Int64),
                recovery_s=recovery_ns / NS_PER_S,
                waited_s=waited_ns / NS_PER_S,
                fate=pl.when(pl.lit(never))
                .then(pl.lit("unseen"))
                .when(recovery_ns <= limit_ns)
                .then(pl.lit("recovered"))
                .when((recovery_ns > limit_ns) | (waited_ns > limit_ns))
                .then(pl.lit("slow"))
                .otherwise(pl.lit("unseen")),
            )
        )

    def _slow(self, fault: Fault, row: dict[str, Any]) -> str:
        where = f"{row['topic']}-{row['partition']}"
        if row["recovery_s"] is None:
            return f"{where} was tried for {row['waited_s']:.3f} s after {fault.name} and never acknowledged."
        return f"{where} was acknowledged again only {row['recovery_s']:.3f} s after {fault.name}."

    def _unseen(self, fault: Fault, row: dict[str, Any]) -> str:
        where = f"{row['topic']}-{row['partition']}"
        if self.since == "heal" and fault.healed_ns is None:
            return f"{fault.name} was never healed, so the recovery of {where} has no start."
        if row["waited_s"] is None:
            return f"Nothing was sent to {where} after {fault.name}."
        return f"{where} was tried for only {row['waited_s']:.3f} s after {fault.name} and not acknowledged."
