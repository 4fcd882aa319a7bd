"""The tables that several checks look at, each computed once a recording.

`place` numbers a topic's partition (topic << 32 | partition), `spot` its offset in it, and `here` a value in its topic,
so that joins and sorts go over one whole number; null where a part of it is not known.
"""

from __future__ import annotations

import polars as pl

from kafkaos.checks.keys import found, number
from kafkaos.history import Recording

_SHARED = ["client", "incarnation", "group", "row", "topic", "partition", "place", "offset", "value", "key"]
_SHARED += ["invoked_ns", "completed_ns", "spot", "here"]


def of_op(recording: Recording, op: str, *more: str) -> pl.DataFrame:
    """The rows of one operation, with `place`, `spot`, `here` and whatever other columns are asked for."""
    placed = recording.derive("placed", lambda: _placed(recording.rows))
    return placed.lazy().filter(pl.col("op") == op).select(*_SHARED, *more).collect()


def _placed(rows: pl.DataFrame) -> pl.DataFrame:
    table = rows.with_columns(
        place=pl.col("topic").to_physical().cast(pl.Int64) * (1 << 32) + pl.col("partition")
    )
    of_replica = pl.col("op").is_in(["replica", "replica_end"])  # their values are hashes, as wide as can be
    values = table.select("topic", value=pl.when(~of_replica).then("value"))
    return table.with_columns(
        number(table, "place", "offset").alias("spot"), number(values, "topic", "value").alias("here")
    )


def sends(recording: Recording) -> pl.DataFrame:
    """Every send that carries a value id, whatever became of it."""
    return recording.derive("sends", lambda: _sent(recording).filter(pl.col("value").is_not_null()))


def _sent(recording: Recording) -> pl.DataFrame:
    return recording.derive("sent", lambda: of_op(recording, "send", "outcome", "transaction"))


def sent_topics(recording: Recording) -> pl.Series:
    """The topics to which a recorded client sent."""
    return recording.derive("sent topics", sends(recording)["topic"].unique)


def acknowledged(recording: Recording) -> pl.DataFrame:
    """Sends that ended ok; of a transaction only if its commit ended ok too.

    A record of an aborted or undecided transaction was promised to nobody. `promised_ns` is when the sender
    could first count on the record: the acknowledgement, in a transaction its commit.
    """
    return recording.derive("acknowledged", lambda: _promised(recording, sends(recording)))


def acknowledged_nameless(recording: Recording) -> pl.DataFrame:
    """The same of sends without a value id: nobody can look for their records."""
    nameless = _sent(recording).filter(pl.col("value").is_null())
    return _promised(recording, nameless)


def _promised(recording: Recording, sent: pl.DataFrame) -> pl.DataFrame:
    found = sent.filter(pl.col("outcome") == "ok")
    found = found.with_columns(promised_ns=pl.col("completed_ns"))
    if found["transaction"].null_count() == found.height:
        return found
    owner = ["client", "incarnation", "transaction"]
    committed = (
        of_op(recording, "end", "outcome", "transaction")
        .filter(pl.col("outcome") == "ok")
        .select(*owner, promised_ns="completed_ns")
    )
    within = found.drop("promised_ns").drop_nulls("transaction").join(committed, on=owner)
    return pl.concat([found.filter(pl.col("transaction").is_null()), within], how="diagonal")


def reads(recording: Recording) -> pl.DataFrame:
    """Every delivery of a record to an application."""
    return recording.derive("reads", lambda: of_op(recording, "read", "corrupt", "isolation"))


def finals(recording: Recording) -> pl.DataFrame:
    """Every row of the final reader, at both isolation levels."""
    return recording.derive("finals", lambda: of_op(recording, "final", "corrupt", "isolation"))


def log(recording: Recording) -> pl.DataFrame:
    """The log at the end: each place, offset and value once, sorted. The value of a corrupt record is null.

    Taken from the uncommitted reading, which shows aborted records too; from the committed one where a
    recording has only that.
    """
    return recording.derive("log", lambda: _distinct(_uncommitted(finals(recording))))


def committed_log(recording: Recording) -> pl.DataFrame:
    """What a read_committed reader may see at the end; empty where the final reader did not look."""
    return recording.derive(
        "committed log",
        lambda: _distinct(finals(recording).filter(pl.col("isolation") == "committed")),
    )


def log_for(recording: Recording, *, committed: bool) -> pl.DataFrame:
    """The records that a reader of that isolation level may be given, as far as the final reader told.

    Where nobody read committed records at the end, all are, unless transactions may have aborted some: then
    it is not known which, and the table is empty.
    """
    if not committed:
        return log(recording)
    found = committed_log(recording)
    if found.height or sends(recording)["transaction"].null_count() < sends(recording).height:
        return found
    return log(recording)


def nameless(recording: Recording, *, committed: bool = False) -> pl.DataFrame:
    """Whole records of the log whose value nobody knows: any of them may be one that seems to be missing."""
    table = committed_log(recording) if committed else log(recording)
    return table.filter(pl.col("value").is_null() & ~pl.col("corrupt")).select("topic", "place", "spot")


def only_committed(recording: Recording) -> bool:
    """Whether aborted records are missing from `log` because nobody read uncommitted at the end."""
    found = finals(recording)
    return found.height > 0 and bool((found["isolation"] == "committed").all(ignore_nulls=False))


def _uncommitted(rows: pl.DataFrame) -> pl.DataFrame:
    some = rows.filter(pl.col("isolation").ne_missing(pl.lit("committed", dtype=rows.schema["isolation"])))
    return some if some.height else rows


def _committed(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("isolation").eq_missing(pl.lit("committed", dtype=rows.schema["isolation"])))


def _distinct(rows: pl.DataFrame) -> pl.DataFrame:
    if rows["corrupt"].any():
        whole = pl.when(~pl.col("corrupt"))
        rows = rows.with_columns(value=whole.then("value"), here=whole.then("here"))
    ordered = rows.sort("spot")
    if not ordered.select(pl.col("spot").eq_missing(pl.col("spot").shift()).any()).item():
        return ordered
    return ordered.unique(["place", "offset", "value"], keep="first", maintain_order=True)


def in_log(recording: Recording, table: pl.DataFrame) -> pl.Series:
    """Of each row whether the log has just its value at its spot. False may also be where the log has several there."""
    known = log(recording).select("spot", "here").drop_nulls("spot")
    at = found(known["spot"], table["spot"])
    same = known["here"].gather(pl.Series(at).replace(-1, None)) == table["here"]
    return same.fill_null(False)


def extents(recording: Recording, *, committed: bool = False) -> pl.DataFrame:
    """For each place: `start`, `end` (high watermark), `reached`, `passed` and `whole`.

    The final reader saw all below `passed`; `whole` says that it reached the high watermark. `committed` asks
    for the final reader of committed records, which stops before a transaction that hangs.
    """

    def compute() -> pl.DataFrame:
        choose = _committed if committed else _uncommitted
        found = committed_log(recording) if committed else log(recording)
        bounds = [
            choose(of_op(recording, op, "isolation"))
            .group_by("place", "topic", "partition")
            .agg(pl.col("offset").max().alias(name))
            for op, name in (("log_start", "start"), ("log_end", "end"), ("reached", "reached"))
        ]
        furthest = found.group_by("place", "topic", "partition").agg(last=pl.col("offset").max() + 1)
        keys = ["place", "topic", "partition"]
        table = furthest
        for bound in bounds:
            table = table.join(bound, on=keys, how="full", coalesce=True)
        return table.with_columns(
            passed=pl.max_horizontal("reached", "last"),
            whole=(pl.col("reached") >= pl.col("end")).fill_null(False),
        )

    return recording.derive(f"extents {committed}", compute)
