"""The process backend on real brokers: side by side, restart keeps data and address, nothing outlives the harness."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from alive import alive
from kafkaos.backends import topics
from kafkaos.backends.places import state_folder
from kafkaos.backends.process import ProcessCluster, start_cluster
from kafkaos.backends.processes import Supervisor
from kafkaos.backends.ready import wait_until
from kafkaos.errors import SetupFailed, WaitExpired
from kafkaos.spec import ClusterSpec, load_spec

DEADLINE_S = 60


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    made = Supervisor()
    yield made
    made.close()


def send(config: dict[str, str], topic: str, value: bytes) -> None:
    """One acknowledged record, or an AssertionError."""
    errors: list[object] = []
    producer = Producer({**config, "acks": "all", "message.timeout.ms": DEADLINE_S * 1000, "log_level": 0})
    producer.produce(topic, value, on_delivery=lambda error, _: errors.append(error))
    producer.flush(DEADLINE_S)
    assert errors == [None]


def read(config: dict[str, str], topic: str, count: int) -> list[bytes]:
    """The first `count` values of a topic."""
    settings = {"group.id": "reader", "auto.offset.reset": "earliest", "log_level": 0}
    consumer = Consumer({**config, **settings})
    try:
        consumer.subscribe([topic])
        found: list[bytes] = []

        def enough() -> bool:
            found.extend(m.value() for m in consumer.consume(count, 0.2) if m.error() is None)
            return len(found) >= count

        wait_until(enough, timeout_s=DEADLINE_S, what=f"{count} records are read")
        return found
    finally:
        consumer.close()


def test_two_clusters_side_by_side_never_share_an_address(supervisor: Supervisor, tmp_path: Path) -> None:
    """The same specification twice: each has its own broker, topics and folder."""
    clusters: list[ProcessCluster] = []
    try:
        for name in ("first", "second"):
            clusters.append(
                start_cluster(load_spec("single"), supervisor=supervisor, log_folder=tmp_path / name)
            )
        first, second = clusters
        assert first.client_config()["bootstrap.servers"] != second.client_config()["bootstrap.servers"]
        first.create_topic("only-here")
        assert [p.topic for p in first.observe().partitions].count("only-here") == 1
        assert "only-here" not in {p.topic for p in second.observe().partitions}
    finally:
        for cluster in clusters:
            cluster.close()


@pytest.mark.kafka_cluster("single-mtls")
def test_a_killed_broker_comes_back_with_its_data_and_its_address(kafka_cluster: ProcessCluster) -> None:
    """kill -9 and start: what was acknowledged before is read from the same address after."""
    config = kafka_cluster.client_config()
    topic = kafka_cluster.create_topic("kept")
    send(config, topic, b"before")
    kafka_cluster.kill(1)
    assert not kafka_cluster.is_running(1)
    kafka_cluster.start(1)
    kafka_cluster.wait_healthy(timeout_s=DEADLINE_S)
    send(config, topic, b"after")
    assert read(config, topic, 2) == [b"before", b"after"]


@pytest.mark.kafka_cluster("three")
def test_a_topic_with_a_replica_on_a_dead_broker_is_told_as_that(
    kafka_cluster: ProcessCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka takes such a replica without a word (seen: a scenario's topic in CI, told as "not known everywhere")."""
    kafka_cluster.kill(3)
    wait_until(lambda: 3 in kafka_cluster.observe().fenced, timeout_s=DEADLINE_S, what="broker 3 is fenced")
    monkeypatch.setattr(topics, "ADMIN_TIMEOUT_S", 3)
    with pytest.raises(WaitExpired, match=r"isr=\(1, 2\).*broker\(s\) \[3\] are not in sync.*`replicas`"):
        kafka_cluster.create_topic("on-a-dead-broker", replicas=(1, 2, 3))
    assert kafka_cluster.create_topic("on-living-ones", replicas=(1, 2)) == "on-living-ones"
    kafka_cluster.start(3)
    kafka_cluster.wait_healthy(timeout_s=DEADLINE_S)


@pytest.mark.kafka_cluster("single-mtls")
def test_a_topic_has_no_settings_of_an_earlier_one_of_its_name_after_a_restart(
    kafka_cluster: ProcessCluster,
) -> None:
    """A broker that starts keeps those of a deleted topic (Kafka 4.3.1), and the next test's topic would have them."""
    names = ("deleted", "emptied-of")
    for name in names:
        kafka_cluster.create_topic(name, config={"max.message.bytes": "2000"})
    kafka_cluster.delete_topic("deleted")
    kafka_cluster.reset()
    kafka_cluster.kill(1)
    kafka_cluster.start(1)
    kafka_cluster.wait_healthy(timeout_s=DEADLINE_S)
    for name in names:
        kafka_cluster.create_topic(name)
        assert kafka_cluster.topic_config(name)["max.message.bytes"] == "1048588"


@pytest.mark.kafka_cluster("three-mtls")
def test_every_broker_refuses_plaintext_and_a_client_without_certificate(
    kafka_cluster: ProcessCluster,
) -> None:
    """Mutual TLS at every broker: only a client with a certificate of the cluster's authority gets metadata."""
    good = kafka_cluster.client_config()
    assert len(AdminClient(good).list_topics(timeout=10).brokers) == 3
    bare = {k: v for k, v in good.items() if k not in ("ssl.certificate.location", "ssl.key.location")}
    unwanted = [
        {**config, "bootstrap.servers": broker.client_address, "log_level": 0}
        for broker in kafka_cluster.brokers
        for config in ({}, bare)
    ]

    def refused(config: dict[str, Any]) -> None:
        with pytest.raises(KafkaException):
            AdminClient(config).list_topics(timeout=3)

    # Side by side: each waits for all of its time.
    with ThreadPoolExecutor(len(unwanted)) as pool:
        assert len(list(pool.map(refused, unwanted))) == 6


def test_keys_and_passwords_are_readable_by_the_owner_only(supervisor: Supervisor, tmp_path: Path) -> None:
    """Everything below the cluster's folder is closed to others while it runs, and gone after close."""
    cluster = start_cluster(load_spec("single-mtls"), supervisor=supervisor, log_folder=tmp_path)
    folder = cluster.files(1).folder.parent
    try:
        assert folder.stat().st_mode & 0o077 == 0
        assert cluster.files(1).properties.stat().st_mode & 0o077 == 0
        keys = [*folder.rglob("*.pem"), *folder.rglob("*.p12")]
        assert keys
        assert all(path.stat().st_mode & 0o077 == 0 for path in keys)
        assert not any("password" in k and v != "[hidden]" for k, v in cluster.properties(1).items())
    finally:
        cluster.close()
    assert not folder.exists()


def test_a_broker_that_cannot_start_is_told_with_its_own_words(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    """A setting that Kafka refuses ends the start at once with the broker's error and the log's place."""
    spec = ClusterSpec(name="refused", properties={"log.cleaner.threads": "none"})
    with pytest.raises(
        SetupFailed, match=r"broker-1 ended with status 1 while starting: .*log\.cleaner\.threads"
    ):
        start_cluster(spec, supervisor=supervisor, log_folder=tmp_path)


def test_a_port_in_use_is_told_with_its_owner(supervisor: Supervisor, tmp_path: Path) -> None:
    """A client_port that somebody listens on, at all addresses, is named before any broker starts."""
    import socket

    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SetupFailed, match=rf"port {port} is in use .*pid {os.getpid()}"):
            start_cluster(ClusterSpec(client_port=port), supervisor=supervisor, log_folder=tmp_path)


HARNESS = """
import sys, time, json
from pathlib import Path
from kafkaos.backends.processes import Supervisor
from kafkaos.backends.process import start_cluster
from kafkaos.spec import load_spec
supervisor = Supervisor()
cluster = start_cluster(load_spec("single-mtls"), supervisor=supervisor, log_folder=Path(sys.argv[1]))
folder = str(cluster.files(1).folder.parent)
print(json.dumps({"pids": [cluster.pid(1), supervisor.warden_pid], "folder": folder}), flush=True)
time.sleep(120)
"""


@pytest.mark.parametrize("victim", ["harness", "warden"])
def test_kill_9_of_the_harness_or_of_the_warden_leaves_no_broker(victim: str, tmp_path: Path) -> None:
    """However the harness dies, its brokers die with it; its keys go at once, or with the next start's sweep."""
    import json

    from kafkaos.backends.network import sweep

    with subprocess.Popen([sys.executable, "-c", HARNESS, str(tmp_path)], stdout=subprocess.PIPE) as harness:
        assert harness.stdout is not None
        started = json.loads(harness.stdout.readline())
        broker, warden = started["pids"]
        folder = Path(started["folder"])
        assert folder.parent == state_folder()
        assert psutil.pid_exists(broker)
        assert list(folder.rglob("*.p12"))
        os.kill(harness.pid if victim == "harness" else warden, signal.SIGKILL)
        wait_until(lambda: not alive(broker), timeout_s=DEADLINE_S, what="the broker is dead")
        if victim == "warden":
            harness.kill()
            harness.wait(DEADLINE_S)
            sweep()
        wait_until(lambda: not folder.exists(), timeout_s=DEADLINE_S, what="its folder with the keys is gone")
        wait_until(lambda: not alive(warden), timeout_s=DEADLINE_S, what="the warden is gone")
