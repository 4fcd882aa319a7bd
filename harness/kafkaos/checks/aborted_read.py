"""No aborted read: nobody who reads committed records is given one of an aborted transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.story import at, first_rows, witness
from kafkaos.checks.transactions import seen_by_committed, shown, transactions, written
from kafkaos.checks.verdict import Verdict, plural
from kafkaos.history import Recording


@dataclass(frozen=True, kw_only=True)
class NoAbortedRead:
    """Aborted is a transaction whose end the producer knows as an abort; an undecided one may be either.
    A value that was sent again and not aborted then is known by its offset.

    `readers="all"` holds every consumer to it, whatever its isolation level: then one that reads uncommitted
    breaks the guarantee as soon as it meets an aborted record. The final reader's uncommitted pass is exempt.
    """

    name: ClassVar[str] = "no_aborted_read"
    title: ClassVar[str] = "Readers of committed records are given none of an aborted transaction"
    mutations: ClassVar[tuple[str, ...]] = ("read_an_aborted_record", "show_an_aborted_record")

    readers: Literal["committed", "all"] = "committed"

    def judge(self, recording: Recording) -> Verdict:
        known = transactions(recording)
        if known.is_empty():
            return not_applicable(self, "No transaction was recorded, so none was aborted.")
        aborted = written(recording).filter(pl.col("fate") == "aborted")
        seen = seen_by_committed(recording, uncommitted_too=self.readers == "all")
        seen = seen.filter(pl.col("topic").is_in(written(recording)["topic"].unique().implode()))
        counts: dict[str, int | float] = {
            "transactions": known.height,
            "aborted": known.filter(pl.col("fate") == "aborted").height,
            "seen": seen.height,
            "aborted_seen": 0,
        }
        # The final reader of committed records may have rightly found none.
        looked = views.extents(recording, committed=True)["reached"].is_not_null().any()
        if seen.is_empty() and not looked:
            return unknown(
                self,
                "Nobody is known to have read committed records, so no aborted one could be seen.",
                counts,
            )
        found = shown(recording, aborted, seen)
        records = found.unique(["place", "offset", "client"], keep="first", maintain_order=True)
        counts["aborted_seen"] = records.height
        if records.is_empty():
            return held(
                self,
                f"{plural(seen.height, 'record')} seen, none of the {counts['aborted']} aborted transactions.",
                counts,
            )
        return broke(
            self,
            f"{plural(records.height, 'aborted record')} {'was' if records.height == 1 else 'were'} given to readers.",
            counts,
            [witness(recording, _aborted(row), row) for row in first_rows(records, "seen_ns")],
        )


def _aborted(row: dict[str, Any]) -> str:
    return (
        f"{row['client']} was given record {row['value']} in {at(row)}, which {row['sender']} wrote in "
        f"transaction {row['transaction']} and aborted."
    )
