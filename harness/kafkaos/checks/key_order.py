"""Key order: the records of one key are read in the order in which they were sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.seen import ByPartition, Seen
from kafkaos.checks.story import at, first_rows, witness
from kafkaos.checks.transactions import HERE, numbered
from kafkaos.checks.verdict import Verdict, plural
from kafkaos.history import Recording

_READER = ["reader", "topic_number", "key"]
_LINE = [*_READER, "sender", "sender_incarnation"]


@dataclass(frozen=True, kw_only=True)
class KeyOrder(ByPartition):
    """Judged for each group, and each reader without one, by the first delivery of each record.

    Broken where a record is first read before another of its key that one producer had sent earlier (program
    order), or that anybody had been acknowledged before it was sent (real time). Only acknowledged sends with
    a key count. It holds across partitions, which Kafka does not promise: a key whose records are spread over
    several partitions (another key for partitioning, or partitions added) breaks it.
    """

    name: ClassVar[str] = "key_order"
    title: ClassVar[str] = "The records of a key are read in the order sent"
    topic_wide: ClassVar[bool] = True
    mutations: ClassVar[tuple[str, ...]] = ("swap_reads_of_a_key", "swap_reads_of_two_senders")

    def look(self, recording: Recording) -> Seen:
        sent = views.acknowledged(recording).drop_nulls("key")
        reads = views.reads(recording).filter(~pl.col("corrupt")).drop_nulls("value")
        lines = _first_deliveries(sent, reads)
        keys = lines.select(pl.struct("topic_number", "key").n_unique()).item()
        fallen = (
            lines.with_columns(
                after_row=pl.col("sent_row").cum_max().shift().over(_LINE),
                # The earliest acknowledgement among the records of the key that are read after this one.
                behind_ns=pl.col("sent_done_ns").cum_min(reverse=True).shift(-1).over(_READER),
            )
            .with_columns(
                program=(pl.col("sent_row") < pl.col("after_row")).fill_null(False),
                real=(pl.col("sent_ns") > pl.col("behind_ns")).fill_null(False),
            )
            .filter(pl.col("program") | pl.col("real"))
        )
        rows = first_rows(fallen, "seen_ns", "read_row")
        return Seen(
            counts={
                "sent": sent.height,
                "read": reads.height,
                "deliveries": lines.height,
                "fallen": fallen.height,
                "keys": keys,
            },
            told={"fallen": [witness(recording, _sentence(lines, row), row) for row in rows]},
        )

    def conclude(self, seen: Seen) -> Verdict:
        counts, deliveries, fallen = seen.all_counts(), seen.counts["deliveries"], seen.counts["fallen"]
        if not seen.counts["sent"]:
            return not_applicable(self, "No record with a key was acknowledged.")
        if not seen.counts["read"]:
            return not_applicable(self, "No reader was given a record.")
        if not deliveries:
            return unknown(self, "No reader was given a record with a key that was acknowledged.", counts)
        if not fallen:
            told = f"{plural(deliveries, 'delivery', 'deliveries')} of {counts['keys']:,} keys in the order sent."
            return held(self, told, counts)
        return broke(
            self,
            f"{plural(fallen, 'record')} {'was' if fallen == 1 else 'were'} read in another order than "
            "those of the same key were sent.",
            counts,
            seen.witnesses("fallen"),
        )


def _first_deliveries(sent: pl.DataFrame, reads: pl.DataFrame) -> pl.DataFrame:
    """Each record's first delivery to each reader, in the order read, with what is known of its send."""
    known = (
        numbered(sent)
        .select(
            *HERE,
            "key",
            sender="client",
            sender_incarnation="incarnation",
            sent_row="row",
            sent_ns="invoked_ns",
            sent_done_ns="promised_ns",
        )
        .unique(HERE, keep="none")
    )  # a value that was sent twice has no one place in the order
    alone = pl.concat_str("client", pl.lit("/"), "incarnation")
    given = numbered(reads).select(
        *HERE,
        "client",
        "topic",
        "partition",
        "offset",
        reader=pl.when(pl.col("group").is_not_null()).then(pl.col("group").cast(pl.String)).otherwise(alone),
        seen_ns="invoked_ns",
        read_row="row",
    )
    found = given.sort("seen_ns", "read_row").unique(["reader", *HERE], keep="first", maintain_order=True)
    return found.join(known, on=HERE, maintain_order="left")


def _sentence(lines: pl.DataFrame, row: dict[str, Any]) -> str:
    same = [pl.col(name) == row[name] for name in _READER]
    if row["program"]:
        other = lines.filter(
            *same, pl.col("sender") == row["sender"], pl.col("sent_row") == row["after_row"]
        ).row(0, named=True)
        how = "before" if row["sent_row"] < other["sent_row"] else "after"
        return (
            f"{row['client']} was given record {row['value']} of key {row['key']} in {at(row)} after record "
            f"{other['value']} in {at(other)}, but {row['sender']} had sent it {how} that."
        )
    other = lines.filter(*same, pl.col("sent_done_ns") == row["behind_ns"]).row(0, named=True)
    return (
        f"{row['client']} was given record {row['value']} of key {row['key']} in {at(row)} before record "
        f"{other['value']} in {at(other)}, which had been acknowledged to {other['sender']} before "
        f"{row['sender']} sent it."
    )
