"""What the network links cost: the same work through them and straight, in turns, so that a busy machine slows both.

Three figures: Kafka's throughput on two clusters side by side, one of which has links (`links = "none"` in the other's
definition), between its nodes as well as to its clients; the time that a link adds to a request, asked of one and the
same broker in alternation; and the relay alone between two plain sockets.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from kafkaos.backends.ask import round_trip_s
from kafkaos.backends.jars import Progress
from kafkaos.backends.process import ProcessCluster, start_cluster
from kafkaos.backends.processes import Supervisor
from kafkaos.bench import Table
from kafkaos.bench.relay import DIRECT, LINKED, Kind, connect, measure_relay
from kafkaos.errors import SetupFailed
from kafkaos.spec import load_spec

RECORDS = 60_000
RECORD_BYTES = 1000
PARTITIONS = 3
REQUESTS = 1000
WARM_UP = 2
ROUNDS = 3
"""Of producing and reading in each run."""
DEADLINE_S = 120.0
ABOUT = "the network links against none"
NOTES = (
    f"Medians of rounds in turns. Kafka: {RECORDS} records of {RECORD_BYTES} bytes to three brokers with acks=all and "
    "3 replicas, then read; throughput_ratio is links / direct of both together. added_latency_ms_median: of "
    f"{REQUESTS} requests through a client's link and {REQUESTS} straight to the same broker, in alternation. relay: "
    "one link between two plain sockets, the same sockets without it and, where `toxiproxy-server` is on the path, "
    "through a Toxiproxy."
)


def measure(
    *, runs: int, java_home: str | None = None, progress: Progress = lambda _: None
) -> dict[str, Any]:
    """The figures as plain JSON. SetupFailed where a cluster does not start or a record is not acknowledged."""
    with tempfile.TemporaryDirectory(prefix="kafkaos-bench-") as folder, ExitStack() as stack:
        progress("the relay alone")
        alone = measure_relay(Path(folder), runs=runs)
        supervisor = Supervisor()
        stack.callback(supervisor.close)
        clusters: dict[Kind, ProcessCluster] = {}
        for kind in (DIRECT, LINKED):
            spec = load_spec("three").model_copy(update={"links": "relay" if kind == LINKED else "none"})
            clusters[kind] = start_cluster(
                spec, supervisor=supervisor, log_folder=Path(folder) / kind, java_home=java_home,
                progress=progress, rng=random.Random(os.getpid()),
            )  # fmt: skip
            stack.callback(clusters[kind].close)
        latency = _latency(clusters[LINKED])
        took: dict[Kind, list[tuple[float, float]]] = {DIRECT: [], LINKED: []}
        for run in range(WARM_UP + runs * ROUNDS):
            for kind in (DIRECT, LINKED) if run % 2 else (LINKED, DIRECT):
                took[kind].append(_produce_and_read(clusters[kind], f"run-{run}"))
                progress(f"round {run + 1 - WARM_UP} of {runs * ROUNDS}: {kind} {sum(took[kind][-1]):.2f} s")
        seconds = {kind: [sum(one) for one in times[WARM_UP:]] for kind, times in took.items()}
        megabytes = RECORDS * RECORD_BYTES / 1e6
        # Of each pair of neighbours, so that what slows the machine for a while slows both.
        ratios = [direct / linked for direct, linked in zip(seconds[DIRECT], seconds[LINKED], strict=True)]
        return {
            "throughput_ratio": round(statistics.median(ratios), 3),
            "throughput_ratios": [round(ratio, 3) for ratio in ratios],
            **latency,
            **{f"{kind}_mb_per_s": round(megabytes / statistics.median(seconds[kind]), 1) for kind in took},
            "relay": alone,
        }


def _produce_and_read(cluster: ProcessCluster, topic: str) -> tuple[float, float]:
    """Seconds until all is acknowledged, and until all is read."""
    cluster.create_topic(topic, partitions=PARTITIONS)
    config = cluster.client_config()
    failed: list[Any] = []
    producer = Producer(
        {**config, "acks": "all", "linger.ms": 5, "queue.buffering.max.messages": RECORDS, "log_level": 0}
    )
    value = random.Random(0).randbytes(RECORD_BYTES)
    began_s = time.monotonic()
    for number in range(RECORDS):
        producer.produce(
            topic,
            value,
            partition=number % PARTITIONS,
            on_delivery=lambda e, _: failed.append(e) if e else None,
        )
    left = producer.flush(DEADLINE_S)
    produced_s = time.monotonic() - began_s
    if failed or left:
        raise SetupFailed(
            f"{len(failed)} records were refused ({failed[:1]}), {left} not acknowledged in time"
        )
    consumer = Consumer({**config, "group.id": "bench", "fetch.queue.backoff.ms": 10, "log_level": 0})
    try:
        consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(PARTITIONS)])
        read = 0
        began_s = time.monotonic()
        while read < RECORDS:
            read += sum(message.error() is None for message in consumer.consume(5000, 1.0))
            if time.monotonic() > began_s + DEADLINE_S:
                raise SetupFailed(f"{read} of {RECORDS} records were read within {DEADLINE_S:g} s")
        read_s = time.monotonic() - began_s
    finally:
        consumer.close()
    cluster.delete_topic(topic)
    return produced_s, read_s


def _latency(cluster: ProcessCluster) -> dict[str, float]:
    """What a link adds to one request and its answer."""
    broker = cluster.brokers[0]
    addresses = {DIRECT: cluster.direct_address(broker.id), LINKED: broker.client_address}
    took: dict[Kind, list[float]] = {kind: [] for kind in addresses}
    with ExitStack() as stack:
        connections = {kind: stack.enter_context(connect(address)) for kind, address in addresses.items()}
        for number in range(REQUESTS + REQUESTS // 5):
            for kind, connection in connections.items():
                seconds = round_trip_s(connection)
                if number >= REQUESTS // 5:
                    took[kind].append(seconds)
    medians = {kind: statistics.median(times) * 1000 for kind, times in took.items()}
    return {
        "added_latency_ms_median": round(medians[LINKED] - medians[DIRECT], 4),
        **{f"{kind}_latency_ms_median": round(median, 4) for kind, median in medians.items()},
    }


def table(measured: dict[str, Any]) -> Table:
    """The figures for people."""
    relay = measured["relay"]
    rows = [
        ("Kafka, produced and read", *_rates(measured), f"{measured['throughput_ratio']:.2f}"),
        ("one request", *(f"{measured[f'{k}_latency_ms_median']:.3f} ms" for k in ("direct", "links")),
         f"+ {measured['added_latency_ms_median']:.3f} ms"),
        ("the relay alone", *_rates(relay), f"+ {relay['added_round_trip_ms_median']:.3f} ms"),
    ]  # fmt: skip
    if toxiproxy := relay["toxiproxy"]:
        rows.append(
            (
                f"Toxiproxy in its place (the relay: {toxiproxy['links_times_its_throughput']:.2f} times its rate)",
                _rates(relay)[0],
                f"{toxiproxy['mb_per_s']} MB/s",
                f"+ {toxiproxy['added_round_trip_ms_median']:.3f} ms",
            )
        )
    return Table("Through the links against straight", ("", "direct", "links", "ratio or more"), rows)


def _rates(measured: dict[str, Any]) -> list[str]:
    return [f"{measured[f'{kind}_mb_per_s']:.0f} MB/s" for kind in ("direct", "links")]
