"""Recordings of runs that went well, made up with numpy: the ground on which mutations are planted.

Healthy is not trivial: a fault in the middle stalls the acknowledgements, some sends end unknown (half of
them are in the log), offsets have gaps as transaction markers leave them, the first records of a partition
are below the log's start, a rebalance delivers the last few records again, some transactions abort, and one is
left undecided by a producer that dies and has a successor.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from kafkaos.checks.healthy_parts import group_rows, replica_rows, transactional
from kafkaos.checks.healthy_streams import bodies, models
from kafkaos.checks.story import NS_PER_S
from kafkaos.history import Recording
from kafkaos.history.columns import conform
from kafkaos.history.payload import SEQUENCE_BITS

Times = npt.NDArray[np.int64]

TOPICS = ("orders", "payments")
FAULT = 0  # the number of the fault in the middle
_ZERO_NS = 5_000 * NS_PER_S  # a machine that has been up for a while
_SEND_EVERY_NS = 10_000_000
_LATENCY_NS = 25_000_000  # longer than the pause between sends: something is always outstanding
_STALL_NS = 2 * NS_PER_S
_MARKER_EVERY = 50
_BELOW_START = 3


def healthy(
    *,
    producers: int = 2,
    partitions: int = 3,
    groups: tuple[str, ...] = ("billing", "audit"),
    records: int = 1_200,
    transactions: int = 30,
    replicas: int = 3,
    seed: int = 0,
) -> Recording:
    """`records` sends in all, over TOPICS; in the middle a group's second member takes over.

    Beside them `transactions` transactions on a topic of their own, and `replicas` brokers with their logs.
    """
    rng = np.random.default_rng(seed)
    plain = _sends(producers=producers, partitions=partitions, records=records, rng=rng)
    every_ns = max(records * _SEND_EVERY_NS // max(transactions, 1), 100_000_000)
    within, doings = transactional(
        count=transactions, partitions=partitions, begin_ns=_ZERO_NS, every_ns=every_ns, first_number=producers,
        rng=rng,
    )  # fmt: skip
    sends = pl.concat([plain, within], how="diagonal_relaxed")
    log = sends.filter(pl.col("in_log")).with_columns(offset="log_offset")
    visible = log.filter(pl.col("visible"))
    deliveries = [
        group_rows(visible, group, number, begin_ns=_ZERO_NS) for number, group in enumerate(groups)
    ]
    rows = pl.concat(
        [
            sends.drop("in_log", "log_offset", "visible", "ready_ns"),
            doings,
            *deliveries,
            _final(log, log, isolation="uncommitted"),
            _final(log, visible, isolation="committed"),
            replica_rows(log, replicas),
            _harness(records),
        ],
        how="diagonal_relaxed",
    ).with_columns(pl.col("incarnation").fill_null(0), corrupt=pl.lit(False))
    rows = rows.sort("client", "incarnation", "invoked_ns", "tie", maintain_order=True)
    rows = rows.with_columns(row=pl.int_range(pl.len()).over("client", "incarnation"))
    return Recording(
        rows=conform(rows, source="the healthy recording"),
        meta={"run": f"healthy-{seed}"},
        bodies=bodies(seed=seed),
        models=models(seed=seed),
    )


def _sends(*, producers: int, partitions: int, records: int, rng: np.random.Generator) -> pl.DataFrame:
    number = np.arange(records)
    client = number % producers
    sequence = number // producers
    invoked = _ZERO_NS + number * _SEND_EVERY_NS
    fault_ns = _ZERO_NS + records // 2 * _SEND_EVERY_NS
    answered = invoked + _LATENCY_NS
    answered = np.where(
        (answered > fault_ns) & (invoked < fault_ns + _STALL_NS), fault_ns + _STALL_NS + _LATENCY_NS, answered
    )
    stalled = (invoked > fault_ns) & (invoked < fault_ns + _STALL_NS)
    doubtful = stalled & (rng.random(records) < 0.2)
    places = len(TOPICS) * partitions
    table = pl.DataFrame(
        {
            "client": pl.Series([f"producer-{one}" for one in range(producers)]).gather(client),
            "place": (number // producers) % places,
            "value": (client << SEQUENCE_BITS) + sequence,
            "key": client * 1_000_000 + (sequence % places) * 1_000 + sequence // places % 17,
            "sequence": sequence,
            "invoked_ns": invoked,
            "completed_ns": np.where(doubtful, invoked + _STALL_NS, answered),
            "outcome": pl.Series(["ok", "info"]).gather(doubtful.astype(np.uint32)),
            "in_log": ~doubtful | (rng.random(records) < 0.5),
            "tie": number,
        }
    )
    names = pl.Series(TOPICS)
    rank = pl.col("in_log").cast(pl.Int64).cum_sum().over("place") - 1
    return (
        table.with_columns(
            op=pl.lit("send"),
            visible=pl.col("in_log"),
            ready_ns=pl.col("completed_ns"),
            role=pl.lit("producer"),
            topic=names.gather(table["place"] % len(TOPICS)),
            partition=pl.col("place") // len(TOPICS),
            log_offset=rank + rank // _MARKER_EVERY,
        )
        .with_columns(offset=pl.when(pl.col("outcome") == "ok").then("log_offset"))
        .drop("place")
    )


def _final(log: pl.DataFrame, seen: pl.DataFrame, *, isolation: str) -> pl.DataFrame:
    time = int(log["ready_ns"].max()) + NS_PER_S  # type: ignore[arg-type]
    found = seen.filter((pl.col("partition") != 0) | (pl.col("offset") >= _BELOW_START)).select(
        "topic", "partition", "offset", "value", "key", "sequence", "tie", op=pl.lit("final")
    )
    bounds = log.group_by("topic", "partition").agg(
        log_start=pl.when(pl.col("partition").first() == 0).then(_BELOW_START).otherwise(0).cast(pl.Int64),
        log_end=pl.col("offset").max() + 1,
        reached=pl.col("offset").max() + 1,
    )
    told = bounds.unpivot(index=["topic", "partition"], variable_name="op", value_name="offset")
    return pl.concat([found, told.with_columns(tie=pl.lit(1 << 40))], how="diagonal_relaxed").with_columns(
        client=pl.lit("final"),
        role=pl.lit("final"),
        invoked_ns=pl.lit(time + (isolation == "committed")),
        completed_ns=pl.lit(time + (isolation == "committed")),
        outcome=pl.lit("ok"),
        isolation=pl.lit(isolation),
    )


def _harness(records: int) -> pl.DataFrame:
    fault_ns = _ZERO_NS + records // 2 * _SEND_EVERY_NS
    return pl.DataFrame(
        {
            "client": ["harness", "harness"],
            "role": ["harness", "harness"],
            "op": ["inject", "heal"],
            "sequence": [FAULT, FAULT],
            "invoked_ns": [fault_ns, fault_ns + _STALL_NS],
            "completed_ns": [fault_ns + 1_000_000, fault_ns + _STALL_NS + 1_000_000],
            "outcome": ["ok", "ok"],
            "tie": [0, 1],
        }
    )
