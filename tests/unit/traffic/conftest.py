"""Clients against librdkafka's own mock brokers: real client code and real sockets, no Kafka needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from confluent_kafka import Producer

from kafkaos.history.reading import read_segments
from kafkaos.history.recorder import Recorder
from kafkaos.traffic.process import ClientProcess
from kafkaos.traffic.sends import Sends
from kafkaos.traffic.settings import Config, ProducerSettings
from kafkaos.traffic.status import StatusPage


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
