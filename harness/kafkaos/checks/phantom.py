"""No phantom: whatever is read was sent, and arrived as it was sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.story import at, first_rows, witness
from kafkaos.checks.verdict import Verdict, plural
from kafkaos.history import Recording


@dataclass(frozen=True, kw_only=True)
class NoPhantom:
    """Broken by a value that nobody sent, that surely failed, or whose payload is not whole.

    Only topics to which a recorded client sent are judged: what an unrecorded writer adds is not known to be
    wrong. A record without a value id (null, and not corrupt) cannot be told and is counted apart.
    """

    name: ClassVar[str] = "no_phantom"
    title: ClassVar[str] = "Every record that is read was sent, and arrived whole"
    mutations: ClassVar[tuple[str, ...]] = (
        "invent_final",
        "invent_read",
        "corrupt_final",
        "corrupt_read",
        "fail_a_present_send",
    )

    def judge(self, recording: Recording) -> Verdict:
        sent = views.sends(recording)
        topics = sent["topic"].unique()
        seen = pl.concat([views.finals(recording), views.reads(recording)], how="diagonal").filter(
            pl.col("topic").is_in(topics.implode())
        )
        if sent.is_empty():
            return not_applicable(
                self, "No send was recorded, so nothing that was read can be called unsent."
            )
        if seen.is_empty():
            return not_applicable(self, "No record was read, so no phantom could be seen.")
        corrupt = seen.filter("corrupt").with_columns(fault=pl.lit("corrupt"))
        named = seen.filter(~pl.col("corrupt") & pl.col("value").is_not_null())
        here = [pl.col("topic").to_physical(), pl.col("value")]
        may_exist = sent.filter(pl.col("outcome") != "fail")
        unsent = named.join(may_exist, left_on=here, right_on=here, how="anti")
        failed = unsent.join(sent, left_on=here, right_on=here, how="semi").with_columns(
            fault=pl.lit("failed")
        )
        unsent = unsent.join(sent, left_on=here, right_on=here, how="anti").with_columns(
            fault=pl.lit("unsent")
        )
        counts: dict[str, int | float] = {
            "read": seen.height,
            "corrupt": corrupt.height,
            "unsent": unsent.height,
            "failed": failed.height,
            "without_value": seen.height - corrupt.height - named.height,
        }
        if named.is_empty() and corrupt.is_empty():
            return unknown(self, "No record that was read carries a value id.", counts)
        wrong = pl.concat([corrupt, unsent, failed])
        records = wrong.unique(["place", "offset", "fault"], keep="first", maintain_order=True)
        if wrong.is_empty():
            return held(self, f"All {plural(named.height, 'record')} that were read had been sent.", counts)
        rows = first_rows(records.rename({"invoked_ns": "seen_ns"}).drop("completed_ns"), "seen_ns")
        return broke(
            self,
            f"{plural(records.height, 'record')} that {'was' if records.height == 1 else 'were'} read "
            "had not been sent so.",
            counts,
            [witness(recording, _phantom(row), row) for row in rows],
        )


def _phantom(row: dict[str, Any]) -> str:
    where = f"{row['client']} read record {row['value']} in {at(row)}"
    why = {
        "corrupt": "its payload is not whole or not one of ours",
        "failed": "its sender was told that it had surely failed",
        "unsent": "nobody sent it",
    }
    return f"{where}: {why[row['fault']]}."
