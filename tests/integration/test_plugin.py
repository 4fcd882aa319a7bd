"""The plugin in somebody else's repository: nothing but a test file, and the package installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HELD = """
import pytest
from kafkaos.checks import no_acknowledged_loss, no_duplicates

@pytest.mark.kafka_cluster("single")
def test_held(kafka_cluster, chaos):
    topic = kafka_cluster.create_topic("orders", partitions=3)
    producer = chaos.producer(topic, rate=2000, count=500)
    producer.wait_acknowledged(500, timeout_s=60)
    chaos.verify(no_acknowledged_loss, no_duplicates)

@pytest.mark.kafka_cluster("single")
def test_finds_the_cluster_empty(kafka_cluster):
    assert "orders" not in {p.topic for p in kafka_cluster.observe().partitions}
"""

BROKE = """
import pytest
from confluent_kafka import Producer
from kafkaos.checks import no_phantom, recovered

@pytest.mark.kafka_cluster("single")
def test_broke(kafka_cluster, chaos):
    topic = kafka_cluster.create_topic("orders")
    producer = chaos.producer(topic, rate=2000, count=10)
    producer.wait_acknowledged(10, timeout_s=60)
    stranger = Producer(kafka_cluster.client_config())
    stranger.produce(topic, b"nobody of this run sent me")
    assert stranger.flush(30) == 0
    chaos.verify(no_phantom)

@pytest.mark.kafka_cluster("single")
def test_unknown(kafka_cluster, chaos):
    topic = kafka_cluster.create_topic("orders")
    chaos.producer(topic, rate=2000, count=10).wait_acknowledged(10, timeout_s=60)
    chaos.verify(recovered(within="5s"))
"""

LOGS = """
import os
from pathlib import Path

def test_its_logs_are_its_own(kafka_cluster):
    told = f"{kafka_cluster.cluster_id} {kafka_cluster.log_path(1)}"
    Path(os.environ["PYTEST_XDIST_WORKER"]).write_text(told)
"""

ELSEWHERE = """
import pytest

@pytest.mark.kafka_cluster("three", brokers=3)
def test_many(kafka_cluster):
    pass

@pytest.mark.kafka_cluster("three-scram", only="it is about passwords")
def test_special(kafka_cluster):
    pass

@pytest.mark.kafka_cluster("three")
def test_anywhere(kafka_cluster):
    assert len(kafka_cluster.brokers) == 1

@pytest.mark.kafka_cluster("single", brokers=3, only="its own cluster is always right")
def test_at_home(kafka_cluster):
    pass
"""


def run(folder: Path, source: str, *options: str) -> subprocess.CompletedProcess[str]:
    """pytest in a folder that holds one test file and nothing else."""
    (folder / "test_mine.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)


def test_a_scenario_runs_with_no_file_of_ours(tmp_path: Path) -> None:
    """Marker, fixtures, shipped clusters, a cluster for two tests, the table, the recording; its folder used again."""
    result = run(tmp_path, HELD, "--kafka-seed", "7")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "kafkaos: seed 7" in result.stdout
    assert "kafkaos: starting single: 1 JVM(s)" in result.stdout
    assert "All 500 acknowledged" in " ".join(result.stdout.split())
    (out,) = (tmp_path / "reports" / "out").iterdir()
    assert out.name.endswith("-7")
    (folder,) = (out / "runs").iterdir()
    assert (folder / "recording.parquet").exists()
    assert {v["status"] for v in json.loads((folder / "verdicts.json").read_text())} == {"pass"}
    assert [path.name for path in (out / "clusters").iterdir()] == ["single-1"]
    again = run(tmp_path, HELD, "--kafka-seed", "9", "--kafka-out", str(out), "-k", "test_held")
    assert again.returncode == 0, again.stdout + again.stderr
    assert json.loads((folder / "recording.json").read_text())["seed"] == 9


def test_clusters_of_two_workers_have_each_their_own_logs(tmp_path: Path) -> None:
    """With pytest-xdist, both start their first cluster of one name: each log tells of one cluster only."""
    result = run(tmp_path, LOGS, "--dist", "each", "--tx", "2*popen")
    assert result.returncode == 0, result.stdout + result.stderr
    one, other = ((tmp_path / worker).read_text().split() for worker in ("gw0", "gw1"))
    assert one[1] != other[1]
    for (own, path), (foreign, _) in ((one, other), (other, one)):
        log = Path(path).read_text()
        assert own in log
        assert foreign not in log


def test_a_broken_guarantee_and_an_unknown_one_fail_with_witness_and_reproduce_line(tmp_path: Path) -> None:
    """Red names the record and how to show it again; unknown is never a pass."""
    result = run(tmp_path, BROKE, "--kafka-seed", "8")
    assert result.returncode == pytest.ExitCode.TESTS_FAILED
    text = " ".join(result.stdout.split())
    assert "GuaranteeBroken: no_phantom" in text
    assert "VerdictUnknown: recovered: No fault was injected" in text
    assert "--kafka-seed 8" in text
    assert "2 failed" in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--kafka-cluster", "thre"), "There is no cluster `thre`; did you mean `three`?"),
        (("--kafka-backend", "podman"), "there is no backend 'podman'"),
        (("--kafka-java-home", "/nowhere"), "no Java at /nowhere/bin/java"),
    ],
)
def test_wrong_use_is_one_sentence(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    """An unknown cluster, backend or Java is told without a traceback."""
    result = run(tmp_path, HELD, *options)
    assert result.returncode != 0
    assert said in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_a_run_without_kafka_pays_nothing(tmp_path: Path) -> None:
    """The plugin imports neither the clients nor the checks where no test uses Kafka, and makes no folder."""
    source = (
        "import sys\n"
        "def test_light():\n"
        "    assert not {'confluent_kafka', 'polars', 'kafka', 'numpy'} & set(sys.modules)\n"
    )
    result = run(tmp_path, source)
    assert result.returncode == 0, result.stdout
    assert not (tmp_path / "reports").exists()


def test_on_another_cluster_what_cannot_be_told_there_is_skipped_with_the_reason(tmp_path: Path) -> None:
    """`--kafka-cluster`: `brokers` and `only` of the marker skip a test there, and nothing else is skipped."""
    result = run(tmp_path, ELSEWHERE, "-rs", "--kafka-cluster", "single")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 passed, 2 skipped" in result.stdout
    assert "it needs 3 brokers, and single has 1" in result.stdout
    assert "not on single: it is about passwords (three-scram)" in result.stdout
