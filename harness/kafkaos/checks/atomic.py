"""Atomic transactions: of each transaction all records become visible, or none, and not before its commit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.fates import classify
from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.story import at, first_rows, witness
from kafkaos.checks.transactions import OWNER, seen_by_committed, transactions, written
from kafkaos.checks.verdict import Verdict, plural
from kafkaos.history import Recording


@dataclass(frozen=True, kw_only=True)
class AtomicTransactions:
    """Visible is what the final reader of committed records found.

    *Torn*: of a transaction that was not aborted some records are visible, while an acknowledged one is not,
    although the final reader passed its place. *Early*: a reader of committed records was given one before
    the producer asked for the commit; of a transaction that began and has no `end` row nobody knows when. What a
    whole transaction lost is a matter of lost records, and what is seen of an aborted one a matter of aborted reads.
    """

    name: ClassVar[str] = "atomic_transactions"
    title: ClassVar[str] = "A transaction becomes visible as a whole, and not before its commit"
    mutations: ClassVar[tuple[str, ...]] = ("tear_a_transaction", "read_before_commit")

    def judge(self, recording: Recording) -> Verdict:
        known = transactions(recording)
        if known.is_empty():
            return not_applicable(self, "No transaction was recorded.")
        records = written(recording).filter(pl.col("fate") != "aborted")
        torn, unseen = _torn(recording, records)
        early = _early(recording, records)
        counts: dict[str, int | float] = {
            "transactions": known.height,
            "torn": torn["txn"].n_unique(),
            "early": early.height,
            "unseen": unseen,
        }
        if torn.height or early.height:
            parts = [f"{plural(int(counts['torn']), 'transaction')} torn"] * bool(torn.height)
            parts += [f"{plural(early.height, 'record')} visible before the commit"] * bool(early.height)
            told = [witness(recording, _torn_sentence(row), row) for row in first_rows(torn, "invoked_ns")]
            told += [witness(recording, _early_sentence(row), row) for row in first_rows(early, "seen_ns")]
            return broke(self, f"Transactions are not atomic: {' and '.join(parts)}.", counts, told)
        if (
            views.committed_log(recording).is_empty()
            and views.extents(recording, committed=True)["reached"].is_null().all()
        ):
            return unknown(
                self, "No final reader read committed records, so no torn one could be seen.", counts
            )
        if unseen:
            return unknown(
                self,
                f"Of {plural(unseen, 'transaction')} some records lie where the final reader did not get.",
                counts,
            )
        if endless := _endless(recording, records):
            return unknown(
                self,
                f"{plural(endless, 'transaction')} without an `end` row can be read, so nobody knows whether a commit "
                "was asked for before.",
                counts,
            )
        return held(
            self, f"All of {plural(known.height, 'transaction')} visible as a whole or not at all.", counts
        )


def _torn(recording: Recording, records: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """The missing records of torn transactions, and how many transactions were not seen whole."""
    log = views.committed_log(recording).select("here").drop_nulls().unique()
    visible = records.join(log, on="here", how="semi").group_by("txn").agg(visible=pl.len())
    missing = records.filter(pl.col("outcome") == "ok").join(log, on="here", how="anti")
    missing = classify(
        missing.join(visible, on="txn"),
        views.extents(recording, committed=True),
        views.nameless(recording, committed=True),
    )
    torn = missing.filter(pl.col("fate") == "lost")
    return torn, missing.filter(pl.col("fate") == "unseen")["txn"].n_unique()


def _early(recording: Recording, records: pl.DataFrame) -> pl.DataFrame:
    asked = records.drop_nulls("asked_ns").select(
        "here", "transaction", "asked_ns", "invoked_ns", sender="client"
    )
    found = seen_by_committed(recording).join(asked.unique("here", keep="none"), on="here")
    early = found.filter(pl.col("seen_ns") < pl.col("asked_ns"))
    return early.unique(["place", "offset", "client"], keep="first", maintain_order=True)


def _endless(recording: Recording, records: pl.DataFrame) -> int:
    """Transactions that began, of which no row tells an end, and whose records a committed reader was given."""
    begun = views.of_op(recording, "begin", "transaction").select(OWNER)
    left_open = records.filter(pl.col("asked_ns").is_null()).join(begun, on=OWNER, how="semi")
    # What was sent again, as by an application that was killed and began anew, may be visible by that.
    others = views.sends(recording).join(left_open.select(OWNER), on=OWNER, how="anti")
    alone = left_open.join(others.select("here"), on="here", how="anti")
    return alone.join(seen_by_committed(recording).select("here"), on="here", how="semi")["txn"].n_unique()


def _torn_sentence(row: dict[str, Any]) -> str:
    return (
        f"{row['client']} wrote record {row['value']} in {at(row)} within transaction {row['transaction']}, of "
        f"which {plural(row['visible'], 'other record')} can be read; this one cannot."
    )


def _early_sentence(row: dict[str, Any]) -> str:
    early_ms = (row["asked_ns"] - row["seen_ns"]) / 1e6
    return (
        f"{row['client']} was given record {row['value']} in {at(row)} {early_ms:,.3f} ms before {row['sender']} "
        f"asked to commit its transaction {row['transaction']}."
    )
