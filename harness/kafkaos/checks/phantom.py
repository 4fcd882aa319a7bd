"""No phantom: whatever is read was sent, and arrived as it was sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.seen import ByPartition, Seen
from kafkaos.checks.story import at, first_rows, witness
from kafkaos.checks.verdict import Verdict, plural
from kafkaos.history import Recording


@dataclass(frozen=True, kw_only=True)
class NoPhantom(ByPartition):
    """Broken by a value that nobody sent, that surely failed, or whose payload is not whole.

    Only topics to which a recorded client sent are judged: what an unrecorded writer adds is not known to be
    wrong. A record without a value id (null, and not corrupt) cannot be told and is counted apart.
    """

    name: ClassVar[str] = "no_phantom"
    title: ClassVar[str] = "Every record that is read was sent, and arrived whole"
    topic_wide: ClassVar[bool] = True
    mutations: ClassVar[tuple[str, ...]] = (
        "invent_final",
        "invent_read",
        "corrupt_final",
        "corrupt_read",
        "fail_a_present_send",
    )

    def look(self, recording: Recording) -> Seen:
        sent = views.sends(recording)
        topics = views.sent_topics(recording)
        to_topics = pl.col("topic").is_in(topics.implode())
        tables = [table.filter(to_topics) for table in (views.finals(recording), views.reads(recording))]
        corrupt = pl.concat([table.filter("corrupt") for table in tables], how="diagonal")
        named = [table.filter(~pl.col("corrupt") & pl.col("value").is_not_null()) for table in tables]
        may_exist = sent.filter(pl.col("outcome") != "fail").select("here")
        unsent = pl.concat([table.join(may_exist, on="here", how="anti") for table in named], how="diagonal")
        corrupt = corrupt.with_columns(fault=pl.lit("corrupt"))
        failed = unsent.join(sent.select("here"), on="here", how="semi").with_columns(fault=pl.lit("failed"))
        unsent = unsent.join(sent.select("here"), on="here", how="anti").with_columns(fault=pl.lit("unsent"))
        read, told = (sum(table.height for table in some) for some in (tables, named))
        wrong = pl.concat([corrupt, unsent, failed])
        records = wrong.unique(["place", "offset", "fault"], keep="first", maintain_order=True)
        rows = first_rows(records.rename({"invoked_ns": "seen_ns"}).drop("completed_ns"), "seen_ns")
        return Seen(
            counts={
                "read": read,
                "corrupt": corrupt.height,
                "unsent": unsent.height,
                "failed": failed.height,
                "without_value": read - corrupt.height - told,
                "phantoms": records.height,
            },
            most={"_topics_sent_to": len(topics)},
            told={"phantom": [witness(recording, _phantom(row), row) for row in rows]},
        )

    def conclude(self, seen: Seen) -> Verdict:
        counts, phantoms = seen.all_counts(), seen.counts["phantoms"]
        if not seen.most["_topics_sent_to"]:
            return not_applicable(
                self, "No send was recorded, so nothing that was read can be called unsent."
            )
        if not seen.counts["read"]:
            return not_applicable(self, "No record was read, so no phantom could be seen.")
        named = seen.counts["read"] - seen.counts["corrupt"] - seen.counts["without_value"]
        if not named and not seen.counts["corrupt"]:
            return unknown(self, "No record that was read carries a value id.", counts)
        if not phantoms:
            return held(self, f"{plural(named, 'reading')} of records, all of which had been sent.", counts)
        return broke(
            self,
            f"{plural(phantoms, 'record')} that {'was' if phantoms == 1 else 'were'} read had not been sent so.",
            counts,
            seen.witnesses("phantom"),
        )


def _phantom(row: dict[str, Any]) -> str:
    where = f"{row['client']} read record {row['value']} in {at(row)}"
    why = {
        "corrupt": "its payload is not whole or not one of ours",
        "failed": "its sender was told that it had surely failed",
        "unsent": "nobody sent it",
    }
    return f"{where}: {why[row['fault']]}."
