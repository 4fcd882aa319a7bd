"""How long a cluster takes from the first spawn to the first acknowledged record: ours against plain Kafka.

Plain is `java -cp … kafka.Kafka server.properties` with no flag of ours and Kafka's own defaults, but for what a
cluster of that size cannot form without. Both run on the same Java and jars, are started by the same
code, end at the same record produced with acks=all and read, and take turns, so that a busy machine slows both.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from kafkaos.backends import kraft, network
from kafkaos.backends.jars import Progress
from kafkaos.backends.pool import ClusterPool
from kafkaos.backends.process import ProcessCluster, start_cluster
from kafkaos.backends.processes import Supervisor
from kafkaos.backends.start import Setup
from kafkaos.bench import Table
from kafkaos.cluster import Node
from kafkaos.spec import ClusterSpec, load_spec

CLUSTERS = {"single": "single", "three": "three", "three_mtls": "three-mtls"}
ABOUT = "our starts against plain `java kafka.Kafka`, to the first acknowledged record"
NOTES = (
    "Medians of alternating runs, from the first spawn to a record acknowledged by all replicas and read back. Ours "
    "includes certificates, properties and formatting; plain's files are made before its time begins. The JRE, the "
    "jars and our start-up cache are on this machine already. `reused_s` is what a reused cluster costs: health check "
    "and the deletion of the topic of the test before. `plain_cpu_s` and `ours_cpu_s` are what the JVMs had used, "
    "which tells more than seconds do where the machine has other work."
)
# Without these no cluster of that size and security forms, or its internal topics could not be made.
NEEDED = frozenset(
    {
        "node.id",
        "process.roles",
        "listeners",
        "advertised.listeners",
        "listener.security.protocol.map",
        "controller.listener.names",
        "inter.broker.listener.name",
        "controller.quorum.voters",
        "log.dirs",
        "offsets.topic.replication.factor",
        "transaction.state.log.replication.factor",
        "transaction.state.log.min.isr",
        "share.coordinator.state.topic.replication.factor",
        "share.coordinator.state.topic.min.isr",
    }
)


@dataclass(frozen=True)
class Start:
    """One start: seconds to the record, and the CPU seconds of all JVMs until then."""

    took_s: float
    cpu_s: float


class PlainCluster(ProcessCluster):
    """The same nodes as Kafka's users start them."""

    def _server_properties(self, node: Node) -> dict[str, str]:
        ours = super()._server_properties(node)
        needed = {
            key: value
            for key, value in ours.items()
            if key in NEEDED or key.startswith(("ssl.", "listener.name."))
        }
        for name in ("advertised.listeners", "controller.quorum.voters"):
            # Ours are host names of the node's hosts file, which is a flag of ours.
            for other in self._nodes:
                needed[name] = needed[name].replace(
                    other.name + ":", self._subnet.address(other.id, other.id) + ":"
                )
        return needed

    def _start_controller(self) -> None:
        """With the brokers: to start it before them is ours."""

    def start(self, node_id: int) -> None:
        java, jars = self.jvm.java, self.jvm.jars
        command = [
            str(java.executable),
            *("-cp", jars.class_path_option),
            "kafka.Kafka",
            str(self.files(node_id).properties),
        ]
        self._processes[node_id] = self._supervisor.spawn(
            command,
            name=self.node(node_id).name,
            log_path=self.log_path(node_id),
            cwd=self.files(node_id).folder,
        )


def measure(
    *, runs: int, java_home: str | None = None, progress: Progress = lambda _: None
) -> dict[str, dict[str, float]]:
    """Seconds of both, and plain / ours, for each of CLUSTERS. SetupFailed where a cluster does not start."""
    rng = random.Random(os.getpid())
    measured = {}
    supervisor = Supervisor()
    try:
        with tempfile.TemporaryDirectory(prefix="kafkaos-bench-") as folder:
            logs = Path(folder)

            def ours(spec: ClusterSpec) -> Start:
                began = time.monotonic()
                cluster = start_cluster(
                    spec, supervisor=supervisor, log_folder=logs, java_home=java_home, rng=rng
                )
                took = Start(time.monotonic() - began, _cpu_s(cluster))
                cluster.close()
                return took

            progress("preparing: one start that does not count")
            warm = start_cluster(
                load_spec("single"),
                supervisor=supervisor,
                log_folder=logs,
                java_home=java_home,
                progress=progress,
            )
            jvm = warm.jvm
            warm.close()

            def plain(spec: ClusterSpec) -> Start:
                subnet = network.reserve(kraft.node_ids(spec), client_port=None, rng=rng)
                direct = spec.model_copy(update={"links": "none"})
                cluster = PlainCluster(direct, supervisor=supervisor, jvm=jvm, subnet=subnet, log_folder=logs)
                try:
                    cluster.prepare()
                    began = time.monotonic()
                    cluster.start_all()
                    return Start(time.monotonic() - began, _cpu_s(cluster))
                finally:
                    cluster.close()

            for key, name in CLUSTERS.items():
                measured[key] = _alternate(load_spec(name), {"plain": plain, "ours": ours}, runs, progress)
                measured[key]["reused_s"] = _reused(load_spec(name), logs / key, java_home, runs)
                progress(f"{name}, reused: {measured[key]['reused_s']:.3f} s")
    finally:
        supervisor.close()
    return measured


def _reused(spec: ClusterSpec, logs: Path, java_home: str | None, runs: int) -> float:
    """What a running cluster costs a test that made one topic; the median, in s."""
    pool = ClusterPool(logs, setup=Setup(java_home=java_home))
    times = []
    try:
        pool.give_back(pool.take(spec))
        for run in range(runs):
            began = time.monotonic()
            cluster = pool.take(spec)
            taken = time.monotonic()
            cluster.create_topic(f"reused-{run}")
            used = time.monotonic()
            pool.give_back(cluster)
            times.append(taken - began + time.monotonic() - used)
    finally:
        pool.close()
    return round(statistics.median(times), 3)


def _cpu_s(cluster: ProcessCluster) -> float:
    """What the nodes' JVMs have used since they were spawned, in user mode and in the kernel."""
    times = [psutil.Process(cluster.pid(node.id)).cpu_times() for node in cluster.nodes]
    return sum(time.user + time.system for time in times)


def _alternate(
    spec: ClusterSpec, kinds: dict[str, Callable[[ClusterSpec], Start]], runs: int, progress: Progress
) -> dict[str, Any]:
    starts: dict[str, list[Start]] = {kind: [] for kind in kinds}
    for run in range(runs):
        for kind, start in kinds.items():
            starts[kind].append(start(spec))
            progress(f"{spec.name}, run {run + 1} of {runs}: {kind} {starts[kind][-1].took_s:.2f} s")
    plain, ours = (
        Start(
            statistics.median(s.took_s for s in starts[kind]),
            statistics.median(s.cpu_s for s in starts[kind]),
        )
        for kind in ("plain", "ours")
    )
    return {
        "plain_s": round(plain.took_s, 3),
        "ours_s": round(ours.took_s, 3),
        "ratio": round(plain.took_s / ours.took_s, 2),
        "plain_cpu_s": round(plain.cpu_s, 2),
        "ours_cpu_s": round(ours.cpu_s, 2),
    }


def table(measured: dict[str, Any]) -> Table:
    """The figures for people."""
    rows = [
        (cluster, *(f"{row[kind]:.2f} s" for kind in ("plain_s", "ours_s")), f"{row['ratio']:.2f}",
         *(f"{row[kind]:.2f} s" for kind in ("plain_cpu_s", "ours_cpu_s")), f"{row['reused_s']:.3f} s")
        for cluster, row in measured.items()
    ]  # fmt: skip
    return Table(
        "To the first acknowledged acks=all record",
        ("cluster", "plain", "ours", "ratio", "plain, CPU", "ours, CPU", "reused"),
        rows,
    )
