"""How fast the recording clients are: against plain confluent-kafka loops, and against Kafka's verifiable clients.

All send to or read from one broker, take turns in one run, and are counted alike: a producer from its first send to
its last acknowledgement, a consumer from its first batch to its last. Ours write a row of each record meanwhile.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from kafkaos.backends.jars import Progress
from kafkaos.backends.process import ProcessCluster, start_cluster
from kafkaos.backends.processes import Supervisor
from kafkaos.backends.ready import wait_until
from kafkaos.bench import Table
from kafkaos.errors import SetupFailed
from kafkaos.history.reading import read_segments
from kafkaos.spec import load_spec
from kafkaos.traffic.child import Surroundings
from kafkaos.traffic.handles import ConsumerHandle, ProducerHandle
from kafkaos.traffic.settings import ConsumerSettings, ProducerSettings

SIZE_BYTES = 128
PRODUCED = 500_000
PRODUCED_BY_JAVA = 200_000
CONSUMED = 1_500_000
DEADLINE_S = 180.0
ABOUT = "the recording clients against plain loops and Kafka's verifiable clients"
NOTES = (
    f"Records a second, medians of alternating runs on one broker, {SIZE_BYTES}-byte records, acks=all, idempotent; "
    "Kafka's verifiable producer sends bare numbers. Ratios are ours divided by theirs. The plain consumer loop only "
    "counts; `consumer_looking_ratio` is against one that takes each record's offset and value."
)


class _Bench:
    """The broker, the topic that is read, and the processes that take turns."""

    def __init__(self, cluster: ProcessCluster, supervisor: Supervisor, folder: Path) -> None:
        self._cluster = cluster
        self._supervisor = supervisor
        self._folder = folder
        self._numbers = itertools.count(1)
        self._full = ""

    def fill(self) -> None:
        """The topic that every consumer reads."""
        self._full = self._cluster.create_topic("bench-read")
        # Of our payloads: a stranger's would be hashed by the recording consumer, record by record.
        self._send(self._full, CONSUMED)

    def kinds(self) -> dict[str, Callable[[], float]]:
        """What is measured, by name; each call is one run, in records a second."""
        return {
            "producer": self._our_producer,
            "plain_producer": lambda: self._loop("produce", self._fresh(), PRODUCED),
            "verifiable_producer": self._java_producer,
            "consumer": self._our_consumer,
            "plain_consumer": lambda: self._loop("consume", self._full, CONSUMED),
            "plain_consumer_looking": lambda: self._loop("look", self._full, CONSUMED),
            "verifiable_consumer": self._java_consumer,
        }

    def _fresh(self) -> str:
        return self._cluster.create_topic(f"bench-{next(self._numbers)}")

    def _around(self) -> Surroundings:
        return Surroundings(self._folder / f"run-{next(self._numbers)}", self._supervisor, run="bench")

    def _our_producer(self) -> float:
        return self._send(self._fresh(), PRODUCED)

    def _send(self, topic: str, records: int) -> float:
        around = self._around()
        settings = ProducerSettings(
            topics=(topic,), client="producer", config={**self._cluster.client_config()}, count=records,
            size_bytes=SIZE_BYTES,
        )  # fmt: skip
        producer = ProducerHandle(settings, around)
        producer.start()
        producer.wait_ended(timeout_s=DEADLINE_S)
        rows = _rows(around, "send").filter(outcome="ok")
        if rows.height != records:
            raise SetupFailed(
                f"the recording producer got {rows.height} of {records} acknowledgements: see its log"
            )
        spent_ns = int(rows["completed_ns"].to_numpy().max() - rows["invoked_ns"].to_numpy().min())
        return records / (spent_ns / 1e9)

    def _our_consumer(self) -> float:
        around = self._around()
        settings = ConsumerSettings(
            topics=(self._full,), client="consumer", config={**self._cluster.client_config()}, commit="never",
            assignment=((self._full, 0, -2),),
        )  # fmt: skip
        consumer = ConsumerHandle(settings, around)
        consumer.start()
        consumer.wait_read(CONSUMED, timeout_s=DEADLINE_S)
        consumer.stop()
        # All records of a batch were handed over at one moment.
        moments_ns = _rows(around, "read")["invoked_ns"].to_numpy()
        first_ns, last_ns = int(moments_ns.min()), int(moments_ns.max())
        return int((moments_ns > first_ns).sum()) / ((last_ns - first_ns) / 1e9)

    def _loop(self, kind: str, topic: str, records: int) -> float:
        around = self._around()
        config: dict[str, Any] = dict(self._cluster.client_config())
        if kind == "produce":
            settings = ProducerSettings(topics=(topic,), client="plain", config=config)
            config = settings.librdkafka()
        else:
            # As ours: librdkafka's default of 1 s stalls a fast consumer for a second at a time.
            config |= {"group.id": "bench", "enable.auto.commit": False, "fetch.queue.backoff.ms": 10}
        told = around.folder / "loop.json"
        given = {"config": config, "topic": topic, "records": records, "size_bytes": SIZE_BYTES}
        told.write_text(json.dumps(given))
        command = [sys.executable, "-m", "kafkaos.bench.loops", kind, str(told)]
        lines = self._run(command, around, f"plain {kind} loop")
        return float(lines[-1]["records"] / lines[-1]["seconds"])

    def _java_producer(self) -> float:
        more = ("--max-messages", str(PRODUCED_BY_JAVA), "--throughput", "-1", "--acks", "-1")
        lines = self._java("VerifiableProducer", self._fresh(), more)
        moments = [line["timestamp"] for line in lines if line["name"] == "producer_send_success"]
        if len(moments) != PRODUCED_BY_JAVA:
            raise SetupFailed(
                f"Kafka's VerifiableProducer got {len(moments)} of {PRODUCED_BY_JAVA} acknowledgements"
            )
        started = next(line["timestamp"] for line in lines if line["name"] == "startup_complete")
        return float(PRODUCED_BY_JAVA / ((max(moments) - started) / 1e3))

    def _java_consumer(self) -> float:
        group = f"bench-{next(self._numbers)}"
        more = ("--max-messages", str(CONSUMED), "--group-id", group, "--reset-policy", "earliest")
        lines = self._java("VerifiableConsumer", self._full, more)
        batches = [line for line in lines if line["name"] == "records_consumed"]
        read = sum(batch["count"] for batch in batches[1:])
        return float(read / ((batches[-1]["timestamp"] - batches[0]["timestamp"]) / 1e3))

    def _java(self, tool: str, topic: str, more: Sequence[str]) -> list[dict[str, Any]]:
        command = self._cluster.jvm.command(
            f"org.apache.kafka.tools.{tool}",
            *("--topic", topic, "--bootstrap-server", self._cluster.bootstrap, *more),
            # What people get by Kafka's own scripts: both compilers, 512 MB.
            heap_mb=512,
        )
        tuned = [part for part in command if part != "-XX:TieredStopAtLevel=1"]
        return self._run(tuned, self._around(), tool)

    def _run(self, command: Sequence[str], around: Surroundings, what: str) -> list[dict[str, Any]]:
        """Run to the end; the JSON objects that it printed."""
        log, errors = around.folder / "logs" / "out.log", around.folder / "logs" / "errors.log"
        process = self._supervisor.spawn(command, name=what, log_path=log, errors_path=errors)
        try:
            wait_until(lambda: process.poll() is not None, timeout_s=DEADLINE_S, what=f"the {what} has ended")
        finally:
            process.end(1.0)
        if process.poll() != 0:
            raise SetupFailed(f"the {what} ended with status {process.poll()}: {errors.read_text()[-300:]}")
        return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def _rows(around: Surroundings, op: str) -> pl.DataFrame:
    return read_segments(sorted((around.folder / "segments").glob("*.seg")))[0].filter(op=op)


def measure(
    *, runs: int, java_home: str | None = None, progress: Progress = lambda _: None
) -> dict[str, Any]:
    """Ratios, and records a second of each. SetupFailed where a client does not get through."""
    supervisor = Supervisor()
    rates: dict[str, list[float]] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="kafkaos-bench-") as folder:
            cluster = start_cluster(
                load_spec("single"), supervisor=supervisor, log_folder=Path(folder), java_home=java_home,
                progress=progress, rng=random.Random(os.getpid()),
            )  # fmt: skip
            try:
                bench = _Bench(cluster, supervisor, Path(folder))
                bench.fill()
                for run in range(runs):
                    for kind, measure in bench.kinds().items():
                        rates.setdefault(kind, []).append(measure())
                        progress(f"run {run + 1} of {runs}: {kind} {rates[kind][-1]:,.0f} records/s")
            finally:
                cluster.close()
    finally:
        supervisor.close()
    found = {kind: statistics.median(measured) for kind, measured in rates.items()}
    return {
        "producer_ratio": round(found["producer"] / found["plain_producer"], 3),
        "consumer_ratio": round(found["consumer"] / found["plain_consumer"], 3),
        "consumer_looking_ratio": round(found["consumer"] / found["plain_consumer_looking"], 3),
        "verifiable_producer_ratio": round(found["producer"] / found["verifiable_producer"], 3),
        "verifiable_consumer_ratio": round(found["consumer"] / found["verifiable_consumer"], 3),
        "records_per_second": {kind: round(rate) for kind, rate in found.items()},
    }


def table(measured: dict[str, Any]) -> Table:
    """The figures for people."""
    rate = measured["records_per_second"]
    pairs = (
        ("producer", "plain_producer", "producer_ratio"),
        ("producer", "verifiable_producer", "verifiable_producer_ratio"),
        ("consumer", "plain_consumer", "consumer_ratio"),
        ("consumer", "plain_consumer_looking", "consumer_looking_ratio"),
        ("consumer", "verifiable_consumer", "verifiable_consumer_ratio"),
    )
    rows = [
        (
            f"{ours} against {theirs.replace('_', ' ')}",
            f"{rate[ours]:,}",
            f"{rate[theirs]:,}",
            f"{measured[ratio]:.2f}",
        )
        for ours, theirs, ratio in pairs
    ]
    return Table("Records a second", ("", "ours", "theirs", "ratio"), rows)
