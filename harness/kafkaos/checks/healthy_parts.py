"""Parts of a healthy recording: consumer groups that process and commit, transactions, and replicas' logs."""

from __future__ import annotations

import numpy as np
import polars as pl

from kafkaos.checks.story import NS_PER_S
from kafkaos.history.payload import SEQUENCE_BITS

LEDGER = "ledger"
_MS = 1_000_000
_DELIVERED_AGAIN = 4
_COMMIT_EVERY = 10
_BATCH_RECORDS = 8
_PLACE = ["topic", "partition"]
_RECORD = [*_PLACE, "offset", "value", "key", "sequence"]


def group_rows(log: pl.DataFrame, group: str, number: int, *, begin_ns: int) -> pl.DataFrame:
    """Member 0 reads all to the middle; then member 1 takes over and begins a few records earlier.

    Each record is processed a millisecond after its delivery, every tenth is committed; what was delivered
    again had not been.
    """
    given = log.sort("tie").with_columns(
        invoked_ns=pl.col("ready_ns").cum_max().over(_PLACE) + 10 * _MS * (number + 1),
        rank=pl.int_range(pl.len()).over(_PLACE),
        half=pl.len().over(_PLACE) // 2,
    )
    first = given.filter(pl.col("rank") < pl.col("half"))
    handover = int(first["invoked_ns"].max()) + 5 * _MS  # type: ignore[arg-type]
    second = given.filter(pl.col("rank") >= pl.col("half") - _DELIVERED_AGAIN).with_columns(
        invoked_ns=pl.max_horizontal(
            "invoked_ns",  # what had piled up is worked off one after the other
            handover + 2 + (pl.col("rank") - pl.col("half") + _DELIVERED_AGAIN) * 5 * _MS,
        )
    )
    members = [f"{group}-{member}" for member in range(2)]
    owned = pl.concat(
        [
            first.with_columns(client=pl.lit(members[0]), generation=pl.lit(1)),
            second.with_columns(client=pl.lit(members[1]), generation=pl.lit(2)),
        ]
    )
    at = pl.col("invoked_ns")
    read = owned.select("client", *_RECORD, "tie", "invoked_ns", op=pl.lit("read"))
    done = read.with_columns(op=pl.lit("process"), completed_ns=at + _MS, tie=pl.col("tie") + (1 << 41))
    due = (pl.col("rank") % _COMMIT_EVERY == 0) & (
        (pl.col("client") == members[1]) | (pl.col("rank") < pl.col("half") - _DELIVERED_AGAIN)
    )
    commits = owned.filter(due).select(
        "client", *_PLACE, "generation", "tie", op=pl.lit("commit"), offset=pl.col("offset") + 1,
        invoked_ns=at + 2 * _MS, completed_ns=at + 3 * _MS,
    )  # fmt: skip
    places = log.select(_PLACE).unique(maintain_order=True)
    end = int(second["invoked_ns"].max()) + 5 * _MS  # type: ignore[arg-type]
    moves = [
        places.with_columns(
            client=pl.lit(client),
            op=pl.lit(op),
            invoked_ns=pl.lit(time),
            generation=pl.lit(now),
            tie=pl.lit(-1),
        )
        for client, op, time, now in (
            (members[0], "assign", begin_ns, 1),
            (members[0], "revoke", handover, 1),
            (members[1], "assign", handover + 1, 2),
            (members[1], "revoke", end, 2),
        )
    ]
    rows = pl.concat([read, done, commits, *moves], how="diagonal_relaxed")
    return rows.with_columns(
        role=pl.lit("consumer"),
        group=pl.lit(group),
        completed_ns=pl.coalesce("completed_ns", "invoked_ns"),
        outcome=pl.lit("ok"),
        isolation=pl.when(pl.col("op") == "read").then(pl.lit("committed")),
    )


def transactional(
    *, count: int, partitions: int, begin_ns: int, every_ns: int, first_number: int, rng: np.random.Generator
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The sends of `count` transactions, and the other rows of their clients.

    One after the other, by turns: a writer, and a forwarder that reads within each of its transactions all that
    was committed before. Each writes one record to each partition. Some abort; in the middle the writer
    dies within a transaction, and its second incarnation goes on. Less than 60 ms apart they would overlap.
    """
    number = np.arange(count)
    middle = count // 2 - count // 2 % 2
    aborted = (rng.random(count) < 0.15) & (number != middle)
    table = pl.DataFrame(
        {
            "transaction": number,
            "client": pl.Series(["writer", "forwarder"]).gather(number % 2),
            "incarnation": ((number % 2 == 0) & (number > middle)).astype(np.int64),
            "began_ns": begin_ns + number * every_ns,
            "fate": np.where(aborted, "fail", np.where(number == middle, "info", "ok")),
        }
    ).with_columns(
        role=pl.lit("producer"), transactional_id=pl.col("client"), died=pl.col("fate") == "info",
        asked_ns=pl.col("began_ns") + 40 * _MS,
    )  # fmt: skip
    sends = _transactional_sends(table, partitions, first_number)
    owner = ["client", "incarnation", "transaction", "role", "transactional_id"]
    begins = table.select(
        *owner, op=pl.lit("begin"), outcome=pl.lit("ok"), invoked_ns="began_ns", completed_ns="began_ns",
        tie=pl.lit(-1),
    )  # fmt: skip
    ends = table.filter(~pl.col("died")).select(
        *owner, op=pl.lit("end"), outcome="fate", invoked_ns="asked_ns", completed_ns=pl.col("asked_ns") + 10 * _MS,
        tie=pl.lit(1 << 42),
    )  # fmt: skip
    return sends, pl.concat([begins, ends, _forwarded(table, sends)], how="diagonal_relaxed")


def _transactional_sends(table: pl.DataFrame, partitions: int, first_number: int) -> pl.DataFrame:
    places = pl.DataFrame({"partition": np.arange(partitions)})
    numbers = pl.when(pl.col("client") == "writer").then(first_number).otherwise(first_number + 1)
    sends = table.join(places, how="cross").with_columns(
        in_log=~pl.col("died"),
        visible=pl.col("fate") == "ok",
        ready_ns=pl.col("asked_ns") + 10 * _MS,
        topic=pl.lit(LEDGER),
        op=pl.lit("send"),
        invoked_ns=pl.col("began_ns") + (pl.col("partition") + 1) * _MS,
        outcome=pl.when("died").then(pl.lit("info")).otherwise(pl.lit("ok")),
        sequence=pl.col("transaction") * partitions + pl.col("partition"),
    )
    rank = pl.col("in_log").cast(pl.Int64).cum_sum().over("partition") - 1
    return (
        sends.with_columns(
            value=numbers.cast(pl.Int64) * (1 << SEQUENCE_BITS) + pl.col("sequence"),
            key=500_000_000 + pl.col("partition"),
            log_offset=rank * 2,  # a transaction's marker follows its record
            completed_ns=pl.when(~pl.col("died")).then(pl.col("invoked_ns") + 10 * _MS),
            tie=pl.col("sequence"),
        )
        .with_columns(offset=pl.when("in_log").then("log_offset"))
        .drop("began_ns", "asked_ns", "fate", "died")
    )


def _forwarded(table: pl.DataFrame, sends: pl.DataFrame) -> pl.DataFrame:
    """What the forwarder reads within each transaction: all that was committed since its last one began."""
    mine = table.filter(pl.col("client") == "forwarder").select(
        "client", "incarnation", "role", "transactional_id", reading="transaction", at="began_ns"
    )
    # The first transaction of the forwarder that began when the record was visible.
    committed = sends.filter(pl.col("visible")).sort("ready_ns")
    found = committed.select(*_RECORD, "tie", "ready_ns").join_asof(
        mine.sort("at"), left_on="ready_ns", right_on="at", strategy="forward", check_sortedness=False
    )
    return found.drop_nulls("reading").select(
        "client", "incarnation", "role", "transactional_id", *_RECORD, "tie", op=pl.lit("read"),
        transaction="reading", outcome=pl.lit("ok"), isolation=pl.lit("committed"),
        invoked_ns=pl.col("at") + _MS // 2, completed_ns=pl.col("at") + _MS // 2,
    )  # fmt: skip


def replica_rows(log: pl.DataFrame, replicas: int) -> pl.DataFrame:
    """Each replica's batches of a few records, and its end; all are in sync."""
    time = int(log["ready_ns"].max()) + 2 * NS_PER_S  # type: ignore[arg-type]
    batches = (
        log.sort("tie")
        .with_columns(batch=pl.int_range(pl.len()).over(_PLACE) // _BATCH_RECORDS)
        .group_by(*_PLACE, "batch", maintain_order=True)
        .agg(
            offset=pl.col("offset").min(),
            sequence=pl.col("offset").max(),
            value=pl.col("value").sum() % (1 << 32),
        )
        .with_columns(op=pl.lit("replica"), tie=pl.col("batch"))
    )
    ends = (
        batches.group_by(_PLACE)
        .agg(offset=pl.col("sequence").max() + 1)
        .with_columns(op=pl.lit("replica_end"), tie=pl.lit(1 << 40))
    )
    brokers = pl.DataFrame({"client": [f"broker-{number + 1}" for number in range(replicas)]})
    rows = pl.concat([batches.drop("batch"), ends], how="diagonal_relaxed").join(brokers, how="cross")
    return rows.with_columns(
        role=pl.lit("replica"), outcome=pl.lit("ok"), invoked_ns=pl.lit(time), completed_ns=pl.lit(time)
    )
