"""How fast recordings are judged, and how much memory that takes: made-up runs of 1, 5 and 20 million rows.

`python -m kafkaos.bench.checks make|judge FILE …` is what runs in a process of its own for each figure.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from kafkaos.backends.jars import Progress
from kafkaos.bench import Table

ABOUT = "all guarantees on recordings of 1, 5 and 20 million rows: rows a second, peak memory"
NOTES = (
    "Each recording is a Parquet file of two topics with twelve partitions: sends with keys by four producers, what a "
    "group of two read, processed and committed, and the final reader's log at both levels. Reading the file is "
    "part of the time; each is judged by all guarantees in a fresh process, the peak is that process's. Medians, the "
    "largest recording once."
)
SIZES = (1_000_000, 5_000_000, 20_000_000)
_RECORD_ROWS = 5  # sent, read, processed, and in the log at both levels
_PIECE = 200_000
_PLACES, _TOPICS = 12, ("orders", "payments")
_ZERO_NS = 5_000_000_000_000


def measure(*, runs: int, java_home: str | None, progress: Progress) -> list[dict[str, int]]:  # noqa: ARG001
    """One entry a size: rows, rows_per_second, peak_rss_bytes. No Java is needed."""
    measured = []
    with tempfile.TemporaryDirectory(prefix="kafkaos-bench-") as folder:
        for size in SIZES:
            file = Path(folder) / f"{size}.parquet"
            progress(f"making a recording of {size:,} rows")
            rows = _child("make", str(file), str(size))["rows"]
            times, peaks = [], []
            for run in range(runs if size < SIZES[-1] else 1):
                told = _child("judge", str(file))
                times.append(told["seconds"])
                peaks.append(told["peak_rss_bytes"])
                progress(f"{rows:,} rows, run {run + 1}: {times[-1]:.1f} s, {peaks[-1] / 1e6:,.0f} MB")
            measured.append(
                {
                    "rows": rows,
                    "rows_per_second": round(rows / statistics.median(times)),
                    "peak_rss_bytes": round(statistics.median(peaks)),
                }
            )
            file.unlink()
    return measured


def table(measured: list[dict[str, int]]) -> Table:
    rows = []
    before: dict[str, int] | None = None
    for one in measured:
        growth = "-"
        if before is not None:  # time by doubling of the rows: 2.0 is linear
            times = [each["rows"] / each["rows_per_second"] for each in (before, one)]
            doublings = math.log2(one["rows"] / before["rows"])
            growth = (
                f"{(times[1] / times[0]) ** (1 / doublings):.2f} time, "
                f"{(one['peak_rss_bytes'] / before['peak_rss_bytes']) ** (1 / doublings):.2f} memory"
            )
        peak = f"{one['peak_rss_bytes'] / 1e6:,.0f} MB"
        rows.append((f"{one['rows']:,}", f"{one['rows_per_second']:,}", peak, growth))
        before = one
    return Table("Judging recordings", ("rows", "rows a second", "peak memory", "growth by doubling"), rows)


def _child(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "kafkaos.bench.checks", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _make(file: Path, rows: int) -> dict[str, Any]:
    import polars as pl

    from kafkaos.history.columns import conform

    records = rows // _RECORD_ROWS
    pieces = file.with_suffix("")
    pieces.mkdir()
    for first in range(0, records, _PIECE):
        piece = _piece(
            first, min(_PIECE, records - first), bounds=records if first + _PIECE >= records else None
        )
        conform(piece, source="the bench").write_parquet(pieces / f"{first:010}.parquet", compression="lz4")
    pl.scan_parquet(pieces / "*.parquet").sink_parquet(file, compression="zstd", engine="streaming")
    for piece_file in pieces.iterdir():
        piece_file.unlink()
    pieces.rmdir()
    return {"rows": pl.scan_parquet(file).select(pl.len()).collect().item()}


def _piece(first: int, count: int, *, bounds: int | None) -> Any:
    import numpy as np
    import polars as pl

    number = np.arange(first, first + count)
    place = number % _PLACES
    sent_ns = _ZERO_NS + number * 10_000
    record = pl.DataFrame(
        {
            "topic": pl.Series(_TOPICS).gather(place % len(_TOPICS)),
            "partition": (place // len(_TOPICS)).astype(np.int32),
            "offset": number // _PLACES,
            "value": ((number // _PLACES) % 4 << 40) + number,
            "row": number,
        }
    )
    by_place = pl.Series([f"billing-{member}" for member in range(2)]).gather(place // (_PLACES // 2))
    producers = pl.Series([f"producer-{one}" for one in range(4)]).gather((number // _PLACES) % 4)

    def rows(op: str, client: Any, after_ns: int, **more: Any) -> Any:
        return record.with_columns(
            client=client, op=pl.lit(op), outcome=pl.lit("ok"), invoked_ns=pl.Series(sent_ns + after_ns),
            completed_ns=pl.Series(sent_ns + after_ns + 4_000_000), **more,
        )  # fmt: skip

    end_ns = _ZERO_NS + 10**15
    member = {"group": pl.lit("billing"), "role": pl.lit("consumer")}
    final = {"client": pl.lit("final"), "role": pl.lit("final")}
    every = pl.col("row") // _PLACES % 1_000 == 999
    read = rows("read", by_place, 8_000_000, isolation=pl.lit("committed"), **member)
    parts = [
        rows(
            "send",
            producers,
            0,
            role=pl.lit("producer"),
            key=pl.Series((number // _PLACES) % 4 * 100 + place),
        ),
        read.with_columns(pl.col("row") * 3),
        rows("process", by_place, 12_000_000, **member).with_columns(pl.col("row") * 3 + 1),
        rows("commit", by_place, 17_000_000, **member)
        .filter(every)
        .with_columns(pl.col("row") * 3 + 2, offset=pl.col("offset") + 1, value=None),
        *(
            rows("final", final["client"], 0, role=final["role"], isolation=pl.lit(level)).with_columns(
                pl.col("row") * 2 + nth, invoked_ns=pl.lit(end_ns), completed_ns=pl.lit(end_ns)
            )
            for nth, level in enumerate(("uncommitted", "committed"))
        ),
    ]
    if bounds is not None:
        ends = record.group_by("topic", "partition").agg(offset=pl.col("offset").max() + 1)
        for place_in_order, (op, level) in enumerate(
            (op, level)
            for op in ("log_start", "log_end", "reached")
            for level in ("uncommitted", "committed")
        ):
            offset = pl.lit(0, pl.Int64) if op == "log_start" else pl.col("offset")
            parts.append(
                ends.with_columns(
                    offset=offset, op=pl.lit(op), isolation=pl.lit(level), outcome=pl.lit("ok"), value=None,
                    invoked_ns=pl.lit(end_ns), row=bounds * 2 + place_in_order * _PLACES + pl.int_range(pl.len()),
                    **final,
                )
            )  # fmt: skip
    return pl.concat(parts, how="diagonal_relaxed")


def _judge(file: Path) -> dict[str, Any]:
    began = time.monotonic()
    from kafkaos.checks import GUARANTEES, Status, judge_all, judge_file
    from kafkaos.history import load
    from kafkaos.history.recording import large_file

    guarantees = [kind() for kind in GUARANTEES.values()]
    verdicts = (
        judge_file(file, guarantees)[1] if large_file(file) is not None else judge_all(load(file), guarantees)
    )
    seconds = time.monotonic() - began
    wrong = [one for one in verdicts if one.applicable and one.status is not Status.PASS]
    if wrong:
        raise AssertionError(f"the healthy recording came out as {wrong[0]}")
    peak_kib = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak_kib is not None
    return {
        "seconds": seconds,
        "peak_rss_bytes": int(peak_kib[1]) * 1024,
        "judged": sum(one.applicable for one in verdicts),
    }


if __name__ == "__main__":
    what, path, *rest = sys.argv[1:]
    print(json.dumps(_make(Path(path), int(rest[0])) if what == "make" else _judge(Path(path))))
