"""Administrative requests when there is nobody who could take them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kafkaos.backends import administration
from kafkaos.backends.network import Subnet
from kafkaos.backends.process import ProcessCluster
from kafkaos.backends.processes import Supervisor
from kafkaos.errors import KafkaosError
from kafkaos.spec import ClusterSpec

SETTINGS = {"max.connections": "1"}
STAYS = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def cluster(
    tmp_path: Path, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ProcessCluster]:
    """Two brokers: the first was never started, the second's process is a real one, and paused."""
    nothing: Any = None
    subnet = Subnet(200, -1, 39092, 39093, 39094)
    made = ProcessCluster(
        ClusterSpec(name="two", brokers=2),
        supervisor=nothing,
        jvm=nothing,
        subnet=subnet,
        log_folder=tmp_path,
    )
    made._processes[2] = supervisor.spawn(STAYS, name="broker-2", log_path=tmp_path / "broker-2.log")
    made.pause(2)
    monkeypatch.setattr(administration, "DEADLINE_S", 0.0)
    yield made
    made.kill(2)


@pytest.mark.parametrize(("node", "state"), [(1, "broker-1 is not running"), (2, "broker-2 is paused")])
def test_a_broker_that_cannot_take_its_own_settings_is_named_with_its_state(
    cluster: ProcessCluster, node: int, state: str
) -> None:
    """Only that broker can take them, so whether another one lives says nothing."""
    with pytest.raises(KafkaosError, match=f"set max.connections of broker {node} within 0 s: {state}"):
        cluster.alter_broker(node, SETTINGS)


def test_without_a_living_broker_the_state_of_each_is_told(cluster: ProcessCluster) -> None:
    """What any broker could take: all are named."""
    with pytest.raises(KafkaosError, match="within 0 s: broker-1 is not running, broker-2 is paused"):
        cluster.alter_topic("orders", {"retention.ms": "1"})
