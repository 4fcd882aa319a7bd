"""Reader order: a reader gets a partition's records one after the other, none again, none left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from kafkaos.checks import views
from kafkaos.checks.guarantee import broke, held, not_applicable, unknown
from kafkaos.checks.keys import number
from kafkaos.checks.positions import between, records_between
from kafkaos.checks.seen import ByPartition, Seen
from kafkaos.checks.story import delivery, first_rows, witness
from kafkaos.checks.transactions import OWNER, surely_committed, transactions, written
from kafkaos.checks.verdict import WITNESSES_MAX, Verdict, plural
from kafkaos.history import Recording

_READER = ["client", "incarnation", "place"]


@dataclass(frozen=True, kw_only=True)
class ReaderOrder(ByPartition):
    """Judged in stretches: one partition's deliveries to one incarnation between assign, revoke or seek rows.

    Within a stretch the offset must rise (a fall or a repeat breaks it) and may pass over an offset only
    where the log at the end holds no record that this reader may see. Across stretches of a group, reading
    again is legal back to the last commit; going on past records that no member was ever given is a skip,
    unless somebody sought there. A group's first position is free, and so is every start of a reader
    without a group.
    """

    name: ClassVar[str] = "reader_order"
    title: ClassVar[str] = "A reader is given a partition's records in order, none left out"
    mutations: ClassVar[tuple[str, ...]] = ("drop_read", "swap_reads", "repeat_read", "skip_at_rebalance")

    def look(self, recording: Recording) -> Seen:
        steps = _steps(recording)
        fallen = steps.filter(pl.col("offset") <= pl.col("before"))
        jumps = pl.concat([_jumps(steps), _restarts(steps)], how="diagonal")
        jumps = _undelivered(steps, _over_records(recording, jumps))
        skips = jumps.filter(pl.col("skipped") > 0)
        unseen = jumps.filter(~pl.col("known")).height
        skipped = int(skips["skipped"].sum())
        rows = first_rows(fallen, "invoked_ns", "row")
        return Seen(
            counts={
                "read": steps.height,
                "fallen": fallen.height,
                "jumps": jumps.height,
                "skipped": skipped,
                "unseen_jumps": unseen,
            },
            told={
                "fallen": [witness(recording, _fallen(row), delivery(row)) for row in rows],
                "skipped": _skip_witnesses(recording, skips),
            },
        )

    def conclude(self, seen: Seen) -> Verdict:
        counts, fallen, skipped = seen.all_counts(), seen.counts["fallen"], seen.counts["skipped"]
        if not seen.counts["read"]:
            return not_applicable(
                self, "No reader was given a record, so there is no order to judge.", counts
            )
        if fallen or skipped:
            said = [plural(fallen, "fall")] * bool(fallen)
            said += [f"{plural(skipped, 'record')} left out"] * bool(skipped)
            told = f"Readers were not given the log in order: {' and '.join(said)}."
            return broke(self, told, counts, seen.witnesses("fallen", "skipped"))
        if unseen := seen.counts["unseen_jumps"]:
            return unknown(
                self,
                f"{plural(unseen, 'jump')} of readers cannot be judged: no final reader looked between.",
                counts,
            )
        deliveries = plural(seen.counts["read"], "delivery", "deliveries")
        return held(self, f"{deliveries} in the order of the log.", counts)


def _steps(recording: Recording) -> pl.DataFrame:
    """Each delivery with its stretch, what opened that, and the offset before (null for the first)."""
    reads = views.reads(recording).drop_nulls(["place", "offset"]).with_columns(kind=pl.lit("read"))
    resets = [
        views.of_op(recording, kind).with_columns(kind=pl.lit(kind)) for kind in ("assign", "revoke", "seek")
    ]
    steps = pl.concat([reads, *resets], how="diagonal").sort("row")
    steps = steps.with_columns(reader=number(steps, *_READER))
    reset = pl.col("kind") != "read"
    everywhere = reset & pl.col("place").is_null()
    if steps.select(everywhere.any()).item():  # without a partition: of all partitions
        every = everywhere.cast(pl.Int32).cum_sum().over("client", "incarnation")
    else:
        every = pl.lit(0, dtype=pl.Int32)
    opener = pl.when(reset).then("kind").forward_fill().over("reader")
    stretch = reset.cast(pl.Int32).cum_sum().over("reader") + every
    steps = steps.with_columns(stretch=stretch, opener=opener).filter(~reset)
    same = pl.col("stretch") == pl.col("stretch").shift().over("reader")
    return steps.with_columns(before=pl.when(same).then(pl.col("offset").shift().over("reader")))


def _jumps(steps: pl.DataFrame) -> pl.DataFrame:
    return steps.filter(pl.col("offset") > pl.col("before") + 1).with_columns(within=pl.lit(True))


def _restarts(steps: pl.DataFrame) -> pl.DataFrame:
    """First deliveries of a group's stretches that lie beyond all that its earlier stretches were given."""
    given = steps.drop_nulls("group").with_row_index("first")
    given = given.with_columns(whole=number(given, "reader", "stretch", "group"))
    spans = given.group_by("whole").agg(pl.col("first").min(), furthest=pl.col("offset").max()).sort("first")
    stretches = (
        given[spans["first"]]
        .with_columns(spans["furthest"])
        .sort("invoked_ns", "row")
        .with_columns(before=pl.col("furthest").cum_max().shift().over("group", "place"))
    )
    return stretches.filter(
        (pl.col("offset") > pl.col("before") + 1) & (pl.col("opener") != "seek").fill_null(True)
    ).select(*steps.columns, within=pl.lit(False))


def _over_records(recording: Recording, jumps: pl.DataFrame) -> pl.DataFrame:
    """Add `skipped`, the records between, and `known`, whether the final reader looked at all between."""
    log, committed = views.log(recording), _without_aborted(recording, views.committed_log(recording))
    is_committed = pl.col("isolation").eq_missing(pl.lit("committed", dtype=jumps.schema["isolation"]))
    # Whose isolation nobody told may have been a reader of committed records.
    lenient = committed if committed.height else surely_committed(recording, log)
    parts = [
        (jumps.filter(is_committed), committed),
        (jumps.filter(pl.col("isolation").is_null()), lenient),
        (jumps.filter(pl.col("isolation").is_not_null() & ~is_committed), log),
    ]
    passed = views.extents(recording).select("place", "passed")
    return pl.concat(
        between(part, positions)
        .join(passed, on="place", how="left")
        .with_columns(
            known=(pl.col("offset") <= pl.col("passed")).fill_null(False) & pl.lit(positions.height > 0)
        )
        for part, positions in parts
    )


def _without_aborted(recording: Recording, committed: pl.DataFrame) -> pl.DataFrame:
    """What a committed reader may be given: an aborted record that can be read is a matter of aborted reads."""
    sent = written(recording)
    if sent.is_empty() or not (aborted := sent.filter(pl.col("fate") == "aborted")).height:
        return committed
    known = transactions(recording).filter(pl.col("fate") == "aborted").select(OWNER)
    others = views.sends(recording).join(known, on=OWNER, how="anti")  # a value may be sent again, and stay
    gone = aborted.select("here").join(others.select("here"), on="here", how="anti")
    return committed.join(gone, on="here", how="anti", maintain_order="left")


def _undelivered(steps: pl.DataFrame, jumps: pl.DataFrame) -> pl.DataFrame:
    """Of a jump between stretches, take off what some member of the group was given at another time."""
    restarts = jumps.filter(~pl.col("within") & (pl.col("skipped") > 0))
    if restarts.is_empty():
        return jumps
    parts = [jumps.filter(pl.col("within") | (pl.col("skipped") <= 0))]
    for (group,), mine in restarts.group_by("group"):
        given = (
            steps.filter(pl.col("group") == group).select("place", "offset").unique().sort("place", "offset")
        )
        left = pl.col("skipped") - pl.col("given")
        parts.append(between(mine, given, name="given").with_columns(skipped=left).drop("given"))
    return pl.concat(parts)


def _skip_witnesses(recording: Recording, skips: pl.DataFrame) -> list[Any]:
    log = views.log(recording)
    found = []
    for row in first_rows(skips, "invoked_ns", "row"):
        for record in records_between(log, row, at_most=WITNESSES_MAX):
            told = record | {"client": row["client"], "seen_ns": row["invoked_ns"]}
            found.append(witness(recording, _skipped(row, record), told))
    return found


def _fallen(row: dict[str, Any]) -> str:
    return (
        f"{row['client']} was given offset {row['offset']} of {row['topic']}-{row['partition']} after offset "
        f"{row['before']}, with no rebalance or seek between."
    )


def _skipped(row: dict[str, Any], record: dict[str, Any]) -> str:
    across = "" if row["within"] else f" in group {row['group']}, where it went on"
    return (
        f"{row['client']} was given offset {row['offset']} of {row['topic']}-{row['partition']} after offset "
        f"{row['before']}{across}: record {record['value']} at offset {record['offset']} was left out."
    )
