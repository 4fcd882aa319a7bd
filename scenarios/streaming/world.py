"""The harness' side: starting the applications in their environment, and writing what they read."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from kafkaos.apps.handle import AppHandle
from kafkaos.cluster import Cluster
from kafkaos.run import Chaos

SCENARIOS = Path(__file__).resolve().parents[1]
REQUIREMENTS = SCENARIOS / "streaming" / "requirements.txt"
WAIT_S = 120.0
COMMIT_INTERVAL_S = 0.2
NEVER_S = 3_600.0  # a commit interval that no run outlives: only an orderly end commits


@dataclass(frozen=True)
class Sent:
    """One record to write; a key is text, a value plain JSON."""

    value: Any
    key: str | None = None
    timestamp_ms: int = 0
    """The record's time; 0: now."""


@dataclass(frozen=True)
class World:
    """One run with a stream application in it. `python` is the environment's, `code` the folder of its modules."""

    cluster: Cluster
    chaos: Chaos
    python: Path
    code: Path = SCENARIOS

    @property
    def group(self) -> str:
        """Of this run alone: clusters are shared by tests, and changelog topics are named after the group."""
        return f"streams-{self.chaos.folder.name[-6:]}"

    @property
    def state(self) -> Path:
        """Where the application keeps its RocksDB stores."""
        return self.chaos.folder / "state"

    def application(
        self,
        module: str,
        *,
        name: str,
        reads: Sequence[str],
        writes: Sequence[str],
        stores: Sequence[tuple[str, str]] = (),
        **env: str,
    ) -> AppHandle:
        """Start `python -m MODULE` as one instance; `env` are further variables, such as STREAM_GUARANTEE.

        `stores` are its state stores, each by its topic and name: their changelog topics are made here, as by a
        deployment. The application would make them too, but looks only each second whether the next one is there.
        """
        self._create_changelogs(stores)
        return self.chaos.app(
            name,
            [str(self.python), "-W", "ignore", "-m", module],
            env={
                "STREAM_GROUP": self.group,
                "STREAM_STATE": str(self.state),
                "STREAM_COMMIT_INTERVAL_S": str(COMMIT_INTERVAL_S),
                **env,
            },
            reads=reads,
            topics=writes,
            group=self.group,
            isolation="committed",
            cwd=self.code,
        )

    def _create_changelogs(self, stores: Sequence[tuple[str, str]]) -> None:
        """Named as quixstreams names them, with the partitions of the topic whose state they keep."""
        for topic, store in stores:
            partitions = [one for one in self.cluster.observe([topic]).partitions if one.topic == topic]
            self.cluster.create_topic(
                f"changelog__{self.group}--{topic}--{store}",
                partitions=len(partitions),
                config={"cleanup.policy": "compact"},
            )

    def write(self, topic: str, records: Iterable[Sent]) -> None:
        """Send all with acks=all and wait until each is acknowledged, in order a partition."""
        refused: list[Any] = []
        producer = Producer(
            {
                **self.cluster.client_config(),
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": "murmur2_random",  # as quixstreams and Java spread keys: joined topics must agree
                "linger.ms": 5,
            }
        )
        for one in records:
            producer.produce(
                topic,
                key=one.key,
                value=None if one.value is None else json.dumps(one.value),
                timestamp=one.timestamp_ms,
                on_delivery=lambda error, _: refused.append(error) if error else None,
            )
            producer.poll(0)
        left = producer.flush(WAIT_S)
        if left or refused:
            raise AssertionError(f"{left} records of {topic} unacknowledged, refused: {refused[:1]}")

    def wait_processed(self, app: AppHandle, topic: str, count: int) -> None:
        """Until the application has worked on `count` records of a topic, over all incarnations."""
        app.wait_event("process", count=count, timeout_s=WAIT_S, where=lambda line: line["topic"] == topic)

    def wait_committed(self, app: AppHandle, *topics: str) -> None:
        """Until the group has committed behind the last record that committed readers find in these topics now."""
        ends = {
            (topic, body.partition): body.offset + 1 for topic in topics for body in self.chaos.bodies(topic)
        }
        consumer = Consumer({**self.cluster.client_config(), "group.id": self.group, "log_level": 0})
        places = [TopicPartition(topic, partition) for topic, partition in ends]

        def done() -> bool:
            committed = consumer.committed(places, timeout=WAIT_S)
            return all(one.offset >= ends[one.topic, one.partition] for one in committed)

        try:
            app.wait_until(done, f"at the end of {', '.join(topics)} with its commits", timeout_s=WAIT_S)
        finally:
            consumer.close()

    def wait_repartitioned(self, app: AppHandle, topic: str) -> None:
        """Until what was read of `topic` came through the repartition topic as well.

        The drain cannot wait for that one: its end is a transaction's marker, behind which nobody commits.
        """
        self.wait_committed(app, topic)  # in one transaction with the records of the repartition topic
        self.wait_committed(app, *self._repartition_topics(topic))

    def _repartition_topics(self, topic: str) -> list[str]:
        admin = AdminClient({**self.cluster.client_config(), "log_level": 0})
        known = admin.list_topics(timeout=WAIT_S).topics
        return [name for name in known if name.startswith(f"repartition__{self.group}--{topic}--")]

    @contextlib.contextmanager
    def writing(self, topic: str, records: Iterator[Sent], *, every_s: float) -> Iterator[None]:
        """Write one record after another while the body runs; all are acknowledged when it is left."""
        over = threading.Event()

        def paced() -> Iterator[Sent]:
            while not over.wait(every_s):
                yield next(records)

        with ThreadPoolExecutor(1) as pool:
            writer = pool.submit(self.write, topic, paced())
            try:
                yield
            finally:
                over.set()
            writer.result()

    def forget_state(self) -> None:
        """Delete the local state, as a pod without a volume does."""
        shutil.rmtree(self.state)


def copied(into: Path, *folders: str, **changes: tuple[str, str]) -> Path:
    """A copy of the applications with one text replaced in modules (`purchases_app=(old, new)`): broken on purpose."""
    for folder in ("streaming", *folders):
        shutil.copytree(
            SCENARIOS / folder, into / folder, ignore=shutil.ignore_patterns("__pycache__", "test_*")
        )
    for module, (old, new) in changes.items():
        path = into / Path(*module.split("_")).with_suffix(".py")
        text = path.read_text()
        if text.count(old) != 1:
            raise AssertionError(f"{path} has {text.count(old)} times what is to be replaced: {old}")
        path.write_text(text.replace(old, new))
    return into
