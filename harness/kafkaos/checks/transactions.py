"""Transactions as the recording tells them, and the records written in them: what several checks start from."""

from __future__ import annotations

from typing import Any

import polars as pl

from kafkaos.checks import views
from kafkaos.history import Recording
from kafkaos.history.columns import ROW_KEY

OWNER = ["client", "incarnation", "transaction"]
FATES = {"ok": "committed", "fail": "aborted", "info": "undecided"}


def transactions(recording: Recording) -> pl.DataFrame:
    """One row a transaction, numbered by `txn`.

    `fate` is committed, aborted or undecided (its end was not confirmed, or nobody told it); `asked_ns` is
    when its end was asked for (null: no row tells), `told_ns` when that was confirmed.
    """
    return recording.derive("transactions", lambda: _transactions(recording))


def _transactions(recording: Recording) -> pl.DataFrame:
    ends = (
        views.of_op(recording, "end", "outcome", "transaction")
        .drop_nulls("transaction")
        .sort("row")
        .group_by(OWNER, maintain_order=True)
        .agg(
            asked_ns=pl.col("invoked_ns").first(),
            told_ns=pl.col("completed_ns").last(),
            end=pl.col("outcome").last(),
        )
    )
    begun = views.of_op(recording, "begin", "transaction").select(*OWNER, "invoked_ns")
    used = [
        views.sends(recording).select(*OWNER, "invoked_ns"),
        views.of_op(recording, "read", "transaction").select(*OWNER, "invoked_ns"),
    ]
    named = pl.concat([begun, *used]).drop_nulls("transaction").group_by(OWNER, maintain_order=True)
    table = named.agg(began_ns=pl.col("invoked_ns").min()).join(ends, on=OWNER, how="full", coalesce=True)
    fate = pl.col("end").cast(pl.String).replace_strict(FATES, default="undecided").fill_null("undecided")
    return table.with_columns(fate=fate).with_row_index("txn").drop("end")


def written(recording: Recording) -> pl.DataFrame:
    """The sends of all transactions that may be in a log, with `txn`, `fate`, `asked_ns`."""

    def compute() -> pl.DataFrame:
        sent = views.sends(recording).drop_nulls("transaction").filter(pl.col("outcome") != "fail")
        table = transactions(recording).select(*OWNER, "txn", "fate", "asked_ns")
        return sent.join(table, on=OWNER)

    return recording.derive("written", compute)


def seen_by_committed(recording: Recording, *, uncommitted_too: bool = False) -> pl.DataFrame:
    """What readers of committed records were given, the final one included; `seen_ns` says when.

    `uncommitted_too` adds what every other reader was given, but not the final reader's uncommitted pass.
    """
    committed = pl.col("isolation") == "committed"
    reads = views.reads(recording)
    parts = [reads if uncommitted_too else reads.filter(committed), views.finals(recording).filter(committed)]
    columns = ["client", "topic", "partition", "place", "offset", "value", "spot", "here", "invoked_ns"]
    table = pl.concat(part.filter(~pl.col("corrupt")).select(columns) for part in parts)
    return table.drop_nulls("value").rename({"invoked_ns": "seen_ns"})


def shown(recording: Recording, records: pl.DataFrame, seen: pl.DataFrame) -> pl.DataFrame:
    """The rows of `seen` that show one of `records`, which has `sender`, its transaction and when it was sent.

    An application sends a value again where its transaction was aborted, or taken over by a successor: what another
    send may have brought there as well shows one of these only at the offset that it was acknowledged at.
    """
    sent = records.select("here", "spot", "transaction", "invoked_ns", sender="client")
    aborted = transactions(recording).filter(pl.col("fate") == "aborted").select(OWNER)
    others = views.sends(recording).filter(pl.col("outcome") != "fail").join(aborted, on=OWNER, how="anti")
    others = others.join(records.select(ROW_KEY), on=ROW_KEY, how="anti")
    alone = sent.join(others.select("here"), on="here", how="anti").drop("spot")
    again = sent.join(others.select("here"), on="here", how="semi").drop_nulls("spot")
    found = [seen.join(alone, on="here"), seen.join(again, on=["here", "spot"])]
    return pl.concat(found, how="diagonal")


def surely_committed(recording: Recording, table: pl.DataFrame) -> pl.DataFrame:
    """The rows of `table` but those of records that may be aborted ones, also where their values were sent again."""
    known = transactions(recording)
    if known.is_empty():
        return table
    left = known.filter(pl.col("fate") != "committed").select(OWNER)
    doubtful = views.sends(recording).filter(pl.col("outcome") != "fail").join(left, on=OWNER).select("here")
    certain = views.acknowledged(recording).select("here", "spot").drop_nulls()
    may_be = table.select("here", "spot").join(doubtful, on="here", how="semi")
    may_be = may_be.join(certain, on=["here", "spot"], how="anti")
    return table.join(may_be, on=["here", "spot"], how="anti", maintain_order="left")


def named(row: dict[str, Any], client: str = "client") -> str:
    """`transaction 7 of orders-service`."""
    return f"transaction {row['transaction']} of {row[client]}"
