"""Fencing: once a transactional producer's successor has begun, the old one's writes stay invisible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.story import at, first_rows, since_start_s, witness
from kafkaos.checks.transactions import seen_by_committed, shown, transactions, written
from kafkaos.checks.verdict import Verdict, plural
from kafkaos.history import Recording

_PRODUCER = ["client", "incarnation"]


@dataclass(frozen=True, kw_only=True)
class Fencing:
    """Producers with one `transactional_id` succeed each other, and so do the incarnations of one client. The
    clients named in `line` are one line of successors too, whatever their ids.

    A successor begins with its first transaction, before which it has fenced the others. Broken where a record
    of an older producer can be read by readers of committed records although it was sent, or its commit was
    asked for, after that.
    """

    name: ClassVar[str] = "fencing"
    title: ClassVar[str] = "A producer that was succeeded writes nothing visible any more"
    mutations: ClassVar[tuple[str, ...]] = ("write_as_a_zombie", "commit_as_a_zombie")

    line: tuple[str, ...] = ()

    def judge(self, recording: Recording) -> Verdict:
        if transactions(recording).is_empty():
            return not_applicable(self, "No transaction was recorded.")
        succeeded = self._succeeded(recording)
        counts: dict[str, int | float] = {"successions": succeeded.height, "zombie_records": 0}
        if succeeded.is_empty():
            return not_applicable(self, "No transactional producer had a successor.", counts)
        seen = seen_by_committed(recording)
        if seen.is_empty():
            return unknown(self, "Nobody is known to have read committed records.", counts)
        late = (
            written(recording)
            .join(succeeded, on=_PRODUCER)
            .filter(pl.max_horizontal("invoked_ns", "asked_ns") > pl.col("succeeded_ns"))
        )
        found = shown(recording, late, seen).select("here", client="sender")
        visible = late.join(found.unique(), on=["here", "client"], how="semi")
        counts |= {"late_records": late.height, "zombie_records": visible.height}
        if visible.is_empty():
            return held(
                self, f"{plural(succeeded.height, 'succession')}, nothing of an old producer visible.", counts
            )
        return broke(
            self,
            f"{plural(visible.height, 'record')} of producers that had been succeeded can be read.",
            counts,
            [witness(recording, _sentence(recording, row), row) for row in first_rows(visible, "invoked_ns")],
        )

    def _succeeded(self, recording: Recording) -> pl.DataFrame:
        """Each producer that has a successor, and when and by whom it was first succeeded."""
        begun = transactions(recording).group_by(_PRODUCER).agg(pl.col("began_ns").min())
        ids = _transactional_ids(recording)
        begun = begun.join(ids, on=_PRODUCER, how="left")
        name = pl.col("client").cast(pl.String)
        identity = pl.coalesce(pl.lit("id ") + pl.col("transactional_id"), pl.lit("client ") + name)
        succession = pl.when(name.is_in(self.line)).then(pl.lit("line")).otherwise(identity)
        table = begun.with_columns(succession=succession).sort("began_ns")
        table = table.with_columns(
            succeeded_ns=pl.col("began_ns").shift(-1).over("succession"),
            successor=pl.col("client").shift(-1).over("succession"),
        )
        return table.drop_nulls("succeeded_ns").select(*_PRODUCER, "succeeded_ns", "successor")


def _transactional_ids(recording: Recording) -> pl.DataFrame:
    rows = recording.rows.lazy().filter(pl.col("transactional_id").is_not_null())
    found = rows.group_by(_PRODUCER).agg(pl.col("transactional_id").first().cast(pl.String))
    return found.collect()


def _sentence(recording: Recording, row: dict[str, Any]) -> str:
    began = since_start_s(recording, row["succeeded_ns"])
    late = row["invoked_ns"] > row["succeeded_ns"]
    when = since_start_s(recording, row["invoked_ns"] if late else row["asked_ns"])
    return (
        f"{row['client']} {'sent' if late else 'asked to commit'} record {row['value']} in {at(row)} at {when:.6f} s, "
        f"after its successor {row['successor']} had begun at {began:.6f} s, and it can be read."
    )
