"""Clients against librdkafka's own mock brokers: real client code and real sockets, no Kafka needed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from confluent_kafka import Producer

from kafkaos.errors import WaitExpired
from kafkaos.history.reading import read_segments
from kafkaos.history.recorder import Recorder
from kafkaos.traffic.child import Surroundings
from kafkaos.traffic.process import ClientProcess
from kafkaos.traffic.sends import Sends
from kafkaos.traffic.settings import Config, ProducerSettings
from kafkaos.traffic.status import StatusPage


class LocalProcess:
    """A child process of the test."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self.pid = child.pid
        self.child = child

    def poll(self) -> int | None:
        return self.child.poll()

    def signal(self, number: int) -> bool:
        if self.child.poll() is not None:
            return False
        self.child.send_signal(number)
        return True

    def wait(self, timeout_s: float) -> int:
        try:
            return self.child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise WaitExpired("still running") from None


class LocalSpawner:
    """Starts children and ends them all after the test."""

    def __init__(self) -> None:
        self.children: list[subprocess.Popen[bytes]] = []

    def spawn(
        self, argv: Sequence[str], *, name: str, log_path: Path, env: Mapping[str, str] | None = None
    ) -> LocalProcess:
        assert name in log_path.name
        with log_path.open("ab") as log:
            child = subprocess.Popen(argv, env=env, stdout=log, stderr=log, start_new_session=True)
        self.children.append(child)
        return LocalProcess(child)

    def end(self) -> None:
        for child in self.children:
            if child.poll() is None:
                os.kill(child.pid, signal.SIGKILL)
            child.wait(10)


@pytest.fixture
def around(tmp_path: Path) -> Iterator[Surroundings]:
    spawner = LocalSpawner()
    yield Surroundings(tmp_path / "run", spawner, run="unit")
    spawner.end()


class Bench:
    """The sending side of a producer inside the test process, with mock brokers inside its client."""

    def __init__(self, folder: Path) -> None:
        (folder / "segments").mkdir()
        self._segment = folder / "segments" / "c-0.seg"
        self.recorder = Recorder(self._segment, client="c", incarnation=0, role="producer", run="unit")
        self.client = ClientProcess(StatusPage(folder / "client.status"))

    def sends(self, *, config: Config | None = None, **given: Any) -> Sends:
        """Sends of client number 7 to the topic `orders`."""
        brokers: Config = {"test.mock.num.brokers": 1, "log_level": 2}
        settings = ProducerSettings(
            topics=("orders",), client="c", number=7, config=brokers | (config or {}), **given
        )
        return Sends(settings, self.recorder, self.client)

    def rows(self) -> pl.DataFrame:
        """What the recording holds, read back as a check would."""
        self.recorder.close()
        return read_segments([self._segment])[0]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.recorder.close()
    made.client.page.close()


@pytest.fixture
def mock_brokers() -> Iterator[Config]:
    """The connection settings of mock brokers that other clients can reach; they live as long as the test."""
    owner = Producer({"test.mock.num.brokers": 1, "log_level": 2})
    brokers = owner.list_topics("orders", timeout=10).brokers.values()
    yield {"bootstrap.servers": ",".join(f"{b.host}:{b.port}" for b in brokers), "log_level": 2}
    owner.flush(0)  # it owns the brokers: keep it until here
