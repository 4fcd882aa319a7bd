"""A run over time, from its recording: throughput, latency, waits, leaders and ISR, faults. Times in seconds from
the run's first row; every series has one number a bucket, so that a large recording gives no larger a picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl

from kafkaos.checks import Verdict
from kafkaos.checks.story import NS_PER_S, faults, start_ns
from kafkaos.checks.waits import waits
from kafkaos.history import Recording
from kafkaos.reporting.lanes import Lane, lanes

BUCKET_S = 0.1
BUCKETS_MAX = 600
NOTABLE_WAIT_S = 0.5

Numbers = list[float | None]


@dataclass(frozen=True)
class FaultMark:
    """A fault's window. `to_s` is None for one that was never healed, `evidence` what proved that it bit."""

    name: str
    from_s: float
    placed_s: float
    to_s: float | None
    evidence: str


@dataclass(frozen=True)
class Timeline:
    """What the pictures draw. Rates are records a second, latencies milliseconds (None: nothing came)."""

    bucket_s: float
    duration_s: float
    acknowledged: Numbers
    unacknowledged: Numbers
    read: Numbers
    acknowledgement_p50_ms: Numbers
    acknowledgement_p99_ms: Numbers
    delivery_p50_ms: Numbers
    delivery_p99_ms: Numbers
    waits: list[tuple[float, float]]
    """At least NOTABLE_WAIT_S with sends outstanding and no acknowledgement."""
    faults: list[FaultMark] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)
    phases: list[tuple[float, str]] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)
    """Moments of the witnesses of broken guarantees."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def timeline(recording: Recording, verdicts: Sequence[Verdict] = ()) -> Timeline:
    """The run over time; of a recording with no sends and reads the series are empty of numbers."""
    zero = start_ns(recording)
    rows = recording.rows
    marks = sorted(
        {
            (moment, witness.sentence)
            for verdict in verdicts
            for witness in verdict.witnesses
            if (moment := witness.acknowledged_s or witness.sent_s or witness.seen_s) is not None
        }
    )
    known = [
        FaultMark(f.name, _s(f.injected_ns, zero), _s(f.placed_ns, zero),
                  None if f.healed_ns is None else _s(f.healed_ns, zero), _evidence(recording, f.number))
        for f in faults(recording)
    ]  # fmt: skip
    traffic = rows.filter(pl.col("op").is_in(["send", "read"]))
    last_ns = traffic.select(pl.max_horizontal("invoked_ns", "completed_ns").max()).item()
    ends = [0.0 if last_ns is None else _s(last_ns, zero)]
    ends += [fault.to_s or fault.placed_s for fault in known] + [moment for moment, _ in marks]
    duration_s = max(*ends, BUCKET_S) if len(ends) > 1 else max(ends[0], BUCKET_S)
    bucket_s = BUCKET_S * math.ceil(duration_s / BUCKET_S / BUCKETS_MAX)
    count = min(math.ceil(duration_s / bucket_s + 1e-9), BUCKETS_MAX)
    scale = _Scale(zero, bucket_s, count)

    sends, reads = rows.filter(pl.col("op") == "send"), rows.filter(pl.col("op") == "read")
    acked = sends.filter(pl.col("outcome") == "ok").drop_nulls("completed_ns")
    lag = reads.join(
        sends.select("value", sent_ns="invoked_ns").drop_nulls().unique("value"), on="value", how="inner"
    )
    ack_p50, ack_p99 = scale.quantiles(acked, "completed_ns", "invoked_ns")
    read_p50, read_p99 = scale.quantiles(lag, "invoked_ns", "sent_ns")
    return Timeline(
        bucket_s=round(bucket_s, 3),
        duration_s=duration_s,
        acknowledged=scale.rates(acked["completed_ns"]),
        unacknowledged=scale.rates(sends.filter(pl.col("outcome") != "ok")["invoked_ns"]),
        read=scale.rates(reads["invoked_ns"]),
        acknowledgement_p50_ms=ack_p50,
        acknowledgement_p99_ms=ack_p99,
        delivery_p50_ms=read_p50,
        delivery_p99_ms=read_p99,
        waits=_waits(sends, acked, zero),
        faults=known,
        lanes=lanes(recording, zero_ns=zero, duration_s=duration_s),
        phases=[(_s(e.monotonic_ns, zero), e.name) for e in recording.events if e.kind == "phase"],
        marks=marks,
    )


@dataclass(frozen=True)
class _Scale:
    zero_ns: int
    bucket_s: float
    count: int

    def _bucket(self, column: str) -> pl.Expr:
        width = int(self.bucket_s * NS_PER_S)
        return ((pl.col(column) - self.zero_ns) // width).clip(0, self.count - 1)

    def rates(self, moments: pl.Series) -> Numbers:
        """Records a second in each bucket."""
        frame = moments.drop_nulls().to_frame("at").select(bucket=self._bucket("at"))
        counted = np.bincount(frame["bucket"].to_numpy(), minlength=self.count)
        return [float(f"{n / self.bucket_s:.4g}") for n in counted]

    def quantiles(self, frame: pl.DataFrame, until: str, since: str) -> tuple[Numbers, Numbers]:
        """Median and 99th percentile of `until - since` in ms, by the bucket of `until`."""
        found = (
            frame.select(bucket=self._bucket(until), ms=(pl.col(until) - pl.col(since)) / 1e6)
            .group_by("bucket")
            .agg(p50=pl.col("ms").quantile(0.5), p99=pl.col("ms").quantile(0.99))
        )
        middle: Numbers = [None] * self.count
        high: Numbers = [None] * self.count
        for bucket, p50, p99 in found.iter_rows():
            middle[bucket], high[bucket] = round(p50, 3), round(p99, 3)
        return middle, high


def _waits(sends: pl.DataFrame, acked: pl.DataFrame, zero_ns: int) -> list[tuple[float, float]]:
    if sends.is_empty():
        return []
    last_ns = sends.select(pl.max_horizontal("invoked_ns", "completed_ns").max()).item()
    found = waits(
        begun=sends["invoked_ns"].to_numpy(),
        done=sends["completed_ns"].fill_null(last_ns).to_numpy(),
        came=acked["completed_ns"].to_numpy(),
        end_ns=last_ns,
    )
    long = (found.ends - found.starts) >= NOTABLE_WAIT_S * NS_PER_S
    pairs = zip(found.starts[long].tolist(), found.ends[long].tolist(), strict=True)
    return [(_s(start, zero_ns), _s(end, zero_ns)) for start, end in pairs]


def _evidence(recording: Recording, fault: int) -> str:
    for event in recording.events:
        if event.kind == "evidence" and event.details.get("of_fault") == fault:
            evidence = event.details.get("evidence")
            return str(evidence.get("told", "")) if isinstance(evidence, dict) else ""
    return ""


def _s(moment_ns: int, zero_ns: int) -> float:
    return round((moment_ns - zero_ns) / NS_PER_S, 4)
