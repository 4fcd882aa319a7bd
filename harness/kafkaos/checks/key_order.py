"""Key order: the records of one key are read in the order in which they were sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.keys import arranged, number
from kafkaos.checks.seen import ByPartition, Seen
from kafkaos.checks.story import at, first_rows, witness
from kafkaos.checks.transactions import surely_committed
from kafkaos.checks.verdict import Verdict, plural
from kafkaos.history import Recording

_READER = ("reader", "topic", "key")
_LINE = (*_READER, "sender", "sender_incarnation")


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
        # A reader of uncommitted records is given aborted ones too: the same value sent again is another record.
        lines = _first_deliveries(sent, surely_committed(recording, reads))
        keys = number(lines, "topic", "key").n_unique()
        fallen = (
            lines.with_columns(line=number(lines, *_LINE), reading=number(lines, *_READER))
            .with_columns(
                after_row=pl.col("sent_row").cum_max().shift().over("line"),
                # The earliest acknowledgement among the records of the key that are read after this one.
                behind_ns=pl.col("sent_done_ns").cum_min(reverse=True).shift(-1).over("reading"),
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
    known = sent.select(
        "here",
        "key",
        sender="client",
        sender_incarnation="incarnation",
        sent_row="row",
        sent_ns="invoked_ns",
        sent_done_ns="promised_ns",
    )
    if known["here"].n_unique() < known.height:  # a value that was sent twice has no one place in the order
        known = known.unique("here", keep="none")
    incarnation = pl.col("incarnation").cast(pl.Int64)
    alone = pl.col("client").to_physical().cast(pl.Int64) * (1 << 33) + incarnation * 2 + 1
    given = reads.select(
        "here",
        "client",
        "topic",
        "partition",
        "offset",
        "value",
        reader=pl.coalesce(pl.col("group").to_physical().cast(pl.Int64) * 2, alone),
        seen_ns="invoked_ns",
        read_row="row",
    )
    found = arranged(given.join(known, on="here"), "seen_ns", "read_row")
    delivery = number(found, "reader", "here")
    return found if delivery.n_unique() == found.height else found.filter(delivery.is_first_distinct())


def _sentence(lines: pl.DataFrame, row: dict[str, Any]) -> str:
    same = [pl.col(name) == row[name] for name in _READER]
    if row["program"]:
        # Rows are counted anew in each incarnation, and keys that go round fall on the same ones.
        mine = [pl.col(name) == row[name] for name in ("sender", "sender_incarnation")]
        other = lines.filter(*same, *mine, pl.col("sent_row") == row["after_row"]).row(0, named=True)
        how = "before" if row["sent_row"] < other["sent_row"] else "after"
        return (
            f"{row['client']} was given record {row['value']} of key {row['key']} in {at(row)} after record "
            f"{other['value']} in {at(other)}, but {row['sender']} had sent it {how} that."
        )
    # The acknowledgements of a whole batch have one time: the last of them that was read is behind this one.
    other = lines.filter(*same, pl.col("sent_done_ns") == row["behind_ns"]).row(-1, named=True)
    return (
        f"{row['client']} was given record {row['value']} of key {row['key']} in {at(row)} before record "
        f"{other['value']} in {at(other)}, which had been acknowledged to {other['sender']} before "
        f"{row['sender']} sent it."
    )
