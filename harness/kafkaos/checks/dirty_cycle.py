"""No dirty cycle: transactions do not depend on each other in a circle, by what they wrote and read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl

from kafkaos.checks import views
from kafkaos.checks.cycles import shortest_cycles
from kafkaos.checks.guarantee import broke, held, not_applicable
from kafkaos.checks.story import at, witness
from kafkaos.checks.transactions import OWNER, transactions, written
from kafkaos.checks.verdict import WITNESSES_MAX, Verdict, Witness, plural
from kafkaos.history import Recording


@dataclass(frozen=True, kw_only=True)
class NoDirtyCycle:
    """Edges: one transaction wrote the next record of a partition after the other (write-write), or a
    transaction's read was given what the other wrote (write-read; such `read` rows carry their transaction).

    A circle of edges means that no order of the transactions explains what was seen. Kafka's transactions do
    not lock partitions: two that are open at once and cross over two partitions make a circle of writes with
    nothing broken. `writes=False` leaves write-write edges out. Aborted transactions have no edges.
    """

    name: ClassVar[str] = "no_dirty_cycle"
    title: ClassVar[str] = "No circle of transactions that wrote after, or read from, each other"
    mutations: ClassVar[tuple[str, ...]] = ("cross_writes", "read_in_a_circle")

    writes: bool = True

    def judge(self, recording: Recording) -> Verdict:
        known = transactions(recording)
        if known.is_empty():
            return not_applicable(self, "No transaction was recorded.")
        reads = _write_read(recording)
        parts = [reads, _write_write(recording)] if self.writes else [reads]
        edges = pl.concat(parts).filter(pl.col("before") != pl.col("after"))
        counts: dict[str, int | float] = {
            "transactions": known.height,
            "edges": edges.height,
            "in_circles": 0,
        }
        if edges.is_empty():
            return not_applicable(
                self, "No transaction wrote after or read from another, so none could form a circle.", counts
            )
        involved, cycles = shortest_cycles(
            known.height, _numbers(edges["before"]), _numbers(edges["after"]), at_most=WITNESSES_MAX
        )
        counts |= {"in_circles": involved, "circles_told": len(cycles)}
        if not cycles:
            return held(
                self, f"No circle among {plural(edges.height, 'dependency', 'dependencies')}.", counts
            )
        return broke(
            self,
            f"{plural(involved, 'transaction')} of {known.height:,} depend on each other in circles.",
            counts,
            [_told(recording, known, edges, cycle) for cycle in cycles],
        )


def _numbers(column: pl.Series) -> npt.NDArray[np.int64]:
    return column.cast(pl.Int64).to_numpy()


_EDGE = ["before", "after", "kind", "topic", "partition", "place", "offset", "value", "invoked_ns"]


def _write_write(recording: Recording) -> pl.DataFrame:
    """From each record of a transaction to the next one of its partition that is of a transaction too."""
    sent = written(recording).filter(pl.col("fate") != "aborted")
    # A value may be sent again after an abort: a send that was acknowledged has no other place than its own.
    sent = sent.filter(~views.in_log(recording, sent)).drop("place", "partition", "offset", "key")
    log = views.log(recording).drop_nulls("value").select("here", "place", "partition", "offset")
    # Nor has another send that one.
    acked = views.sends(recording).filter(pl.col("outcome") == "ok")
    log = log.join(acked.select("here", "place", "offset"), on=["here", "place", "offset"], how="anti")
    placed = sent.join(log, on="here")
    known = written(recording).filter(pl.col("fate") != "aborted").drop_nulls(["place", "offset"])
    columns = ["txn", "topic", "partition", "place", "offset", "value", "invoked_ns"]
    table = pl.concat([placed.select(columns), known.select(columns)])
    # Of two that nobody knows which of lies there, one is before the other everywhere: by chance they made a circle.
    table = table.unique(["place", "offset", "txn"], keep="first").sort("place", "offset", "txn")
    return (
        table.with_columns(before=pl.col("txn").shift().over("place"), after="txn", kind=pl.lit("write"))
        .drop_nulls("before")
        .select(_EDGE)
    )


def _write_read(recording: Recording) -> pl.DataFrame:
    known = transactions(recording).filter(pl.col("fate") != "aborted").select(*OWNER, after="txn")
    reads = views.of_op(recording, "read", "transaction").drop_nulls(["transaction", "value"])
    sent = written(recording).filter(pl.col("fate") != "aborted").select("here", before="txn")
    found = reads.join(known, on=OWNER).join(sent, on="here")
    return found.with_columns(kind=pl.lit("read")).select(_EDGE)


def _told(recording: Recording, known: pl.DataFrame, edges: pl.DataFrame, cycle: list[int]) -> Witness:
    steps = []
    for before, after in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        edge = edges.filter((pl.col("before") == before) & (pl.col("after") == after)).row(0, named=True)
        steps.append((_name(known, before), _name(known, after), edge))
    told = [
        f"{later} read record {edge['value']} in {at(edge)}, which {earlier} wrote"
        if edge["kind"] == "read"
        else f"{later} wrote record {edge['value']} in {at(edge)}, behind {earlier}"
        for earlier, later, edge in steps
    ]
    first: dict[str, Any] = steps[0][2]
    return witness(
        recording, f"{'; '.join(told)}.", {**first, "seen_ns": first["invoked_ns"], "invoked_ns": None}
    )


def _name(known: pl.DataFrame, txn: int) -> str:
    row = known.row(txn, named=True)
    return f"transaction {row['transaction']} of {row['client']}"
