"""A recording of one second of traffic with a fault, small enough to count by hand."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import polars as pl
import pytest

from kafkaos.history.columns import conform
from kafkaos.history.events import Event

MS = 1_000_000
REPRODUCE = "pytest 'test_mine.py::test_broke[single]' --kafka-seed 8"


def event(number: int, kind: str, name: str, at_ms: int, **details: object) -> Event:
    return Event(
        number=number,
        kind=kind,
        name=name,
        monotonic_ns=at_ms * MS,
        wall_ns=at_ms * MS,
        details=dict(details),
    )


def state(leader: int | None, epoch: int, isr: list[int]) -> dict[str, object]:
    partition = {
        "topic": "orders", "partition": 0, "leader": leader, "leader_epoch": epoch, "replicas": [1, 2, 3], "isr": isr,
    }  # fmt: skip
    return {"partitions": [partition]}


def log_time(at_s: float) -> str:
    """Unix time as a broker's log tells it."""
    return f"{datetime.datetime.fromtimestamp(at_s, datetime.UTC):%Y-%m-%d %H:%M:%S,%f}"[:-3] + "Z"


EVENTS = [
    event(0, "phase", "setup", 990),
    event(1, "state", "observed", 1100, state=state(1, 0, [1, 2, 3])),
    event(
        2,
        "inject",
        "kill",
        1300,
        target="the leader of orders-0",
        fault_json={"name": "kill", "title": "kill -9"},
    ),
    event(3, "evidence", "kill", 1350, of_fault=2, evidence={"told": "broker-1 ended by SIGKILL"}),
    event(4, "state", "observed", 1400, state=state(2, 1, [2, 3])),
    event(5, "heal", "kill", 2900, fault=2, state=state(2, 1, [2, 3])),
]


def rows() -> pl.DataFrame:
    """Sends every 10 ms from 1.0 s on, answered after 5 ms; from 1.3 s to 2.8 s nothing is answered."""
    sends = []
    for n in range(200):
        at_ms = 1000 + 10 * n
        lost = 1300 <= at_ms < 2800
        sends.append({
            "client": "producer-1", "op": "send", "topic": "orders", "partition": 0, "offset": None if lost else n,
            "value": n, "outcome": "info" if lost else "ok", "invoked_ns": at_ms * MS,
            "completed_ns": (at_ms + 5) * MS if not lost else 2990 * MS,
        })  # fmt: skip
    reads = [
        {**send, "client": "consumer-1", "op": "read", "invoked_ns": int(send["invoked_ns"]) + 20 * MS}
        for send in sends
        if send["outcome"] == "ok"
    ]
    return conform(pl.DataFrame([*sends, *reads], infer_schema_length=None), source="the test's rows")


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run's folder with that recording, a broken guarantee, a password in its settings and a broker's log."""
    folder = tmp_path / "out" / "runs" / "broke"
    folder.mkdir(parents=True)
    logs = tmp_path / "out" / "clusters" / "single-1"
    logs.mkdir(parents=True)
    lines = [
        f"[{log_time(s)}] INFO at {s} ssl.key.password=hunter2 (KafkaConfig)\n" for s in (0.1, 1.31, 9.0)
    ]
    (logs / "broker-1.log").write_text("".join(lines))
    meta = {
        "run": "8:broke", "seed": 8, "cluster": {"name": "single", "kafka": "4.3.1"}, "versions": {"kafka": "4.3.1"},
        "settings": {
            "test": "test_mine.py::test_broke[single]", "reproduce": REPRODUCE, "logs": "../../clusters/single-1",
            "sasl.password": "hunter2", "note": "ssl.keystore.password=hunter2",
        },
    }  # fmt: skip
    table = rows()
    meta["rows"] = table.height
    (folder / "recording.json").write_text(json.dumps(meta))
    table.write_parquet(folder / "recording.parquet", metadata={"kafkaos.run": "8:broke"})
    (folder / "events.jsonl").write_text("".join(json.dumps(e.to_json()) + "\n" for e in EVENTS))
    verdict = {
        "guarantee": "no_acknowledged_loss", "status": "fail", "sentence": "1 of 50 acknowledged records is lost.",
        "counts": {"lost": 1},
        "witnesses": [{"sentence": "orders-0 at offset 7 <script>alert(1)</script> is lost.", "acknowledged_s": 0.1}],
    }  # fmt: skip
    (folder / "verdicts.json").write_text(json.dumps([verdict]))
    return folder
