"""The recording clients and the final reader against a real broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from kafkaos.backends.processes import Supervisor
from kafkaos.errors import WaitExpired
from kafkaos.history.payload import foreign_value
from kafkaos.history.reading import read_segments
from kafkaos.traffic.catch_up import Reading, wait_caught_up
from kafkaos.traffic.child import Surroundings
from kafkaos.traffic.handles import ConsumerHandle, FinalHandle, ProducerHandle, TransactionalHandle
from kafkaos.traffic.process import EXIT_FATAL
from kafkaos.traffic.settings import (
    Config,
    ConsumerSettings,
    FinalSettings,
    Isolation,
    ProducerSettings,
    TransactionalSettings,
)

pytestmark = pytest.mark.kafka_cluster("single")

WAIT_S = 60.0


class Stage:
    """One test's topic, run folder and clients."""

    def __init__(self, around: Surroundings, config: Config, topic: str) -> None:
        self.around = around
        self.config = config
        self.topic = topic
        self.clients: list[Any] = []

    def producer(self, **given: Any) -> ProducerHandle:
        chosen = {"client": "shop", "partition": "round_robin", "config": self.config} | given
        return self._kept(ProducerHandle(ProducerSettings(topics=(self.topic,), **chosen), self.around))

    def transactional(self, **given: Any) -> TransactionalHandle:
        chosen = {"client": "bank", "partition": "round_robin", "config": self.config} | given
        chosen = {"transactional_id": self.topic} | chosen
        settings = TransactionalSettings(topics=(self.topic,), **chosen)
        return self._kept(TransactionalHandle(settings, self.around))

    def consumer(self, **given: Any) -> ConsumerHandle:
        chosen: dict[str, Any] = {"client": "desk", "group": self.topic, "config": self.config} | given
        return self._kept(ConsumerHandle(ConsumerSettings(topics=(self.topic,), **chosen), self.around))

    def final(self, *, deadline_s: float = 30.0) -> FinalHandle:
        settings = FinalSettings(
            topics=(self.topic,), client="final", config=self.config, deadline_s=deadline_s
        )
        handle = FinalHandle(settings, self.around)
        handle.read_all()
        return handle

    def rows(self, **wanted: str | int) -> pl.DataFrame:
        """All rows so far, or those with these values in their columns."""
        segments = sorted((self.around.folder / "segments").glob("*.seg"))
        found = read_segments(segments)[0]
        return found.filter(*(pl.col(name) == value for name, value in wanted.items()))

    def offset(self, op: str, isolation: str, partition: int) -> int | None:
        found = self.rows(op=op, isolation=isolation).filter(pl.col("partition") == partition)
        assert found.height == 1
        return found["offset"].item()

    def _kept(self, handle: Any) -> Any:
        self.clients.append(handle)
        return handle


@pytest.fixture(scope="module")
def supervisor() -> Iterator[Supervisor]:
    made = Supervisor()
    yield made
    made.close()


@pytest.fixture
def stage(kafka_cluster: Any, supervisor: Supervisor, tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Makes the stage with a new topic of so many partitions."""
    made: list[Stage] = []

    def make(partitions: int = 4) -> Stage:
        topic = kafka_cluster.create_topic(
            f"traffic-{tmp_path.name[:40]}", partitions=partitions, replication_factor=1
        )
        around = Surroundings(tmp_path / "run", supervisor, run="integration")
        made.append(Stage(around, dict(kafka_cluster.client_config()), topic))
        return made[-1]

    yield make
    for stage in made:
        for handle in stage.clients:
            handle.kill()


PLACE = ["partition", "offset", "value"]


def places(rows: pl.DataFrame) -> list[tuple[int, int, int]]:
    """Where each value lies."""
    return sorted(rows.select(PLACE).rows())


def test_sent_read_and_final_agree_on_a_healthy_broker(stage: Callable[..., Stage]) -> None:
    """Each acknowledged record lies in the log where its acknowledgement said, at both isolation levels."""
    at = stage()
    shop, desk = at.producer(rate=None, count=20_000, keys=11), at.consumer()
    desk.start()
    shop.start()
    assert shop.wait_ended(timeout_s=WAIT_S) == 0
    desk.wait_read(20_000, timeout_s=WAIT_S)
    assert desk.stop() == 0
    at.final()
    sent = places(at.rows(op="send", outcome="ok"))
    assert len(sent) == 20_000
    assert places(at.rows(op="read")) == sent
    for isolation in ("uncommitted", "committed"):
        assert places(at.rows(op="final", isolation=isolation)) == sent
        for partition in range(4):
            assert at.offset("log_start", isolation, partition) == 0
            assert at.offset("log_end", isolation, partition) == 5_000
            assert at.offset("reached", isolation, partition) == 5_000


def test_an_empty_topic_is_read_to_its_end(stage: Callable[..., Stage]) -> None:
    """Empty partitions are reached at once: no waiting for records that are not there."""
    at = stage(3)
    at.final(deadline_s=20.0)
    assert at.rows(op="final").height == 0
    assert [at.offset("reached", "committed", partition) for partition in range(3)] == [0, 0, 0]
    assert [at.offset("log_end", "committed", partition) for partition in range(3)] == [0, 0, 0]


def test_transactions_are_visible_as_they_ended(stage: Callable[..., Stage]) -> None:
    """Committed reading shows the records of committed transactions alone; their markers are no gap."""
    at = stage(2)
    bank = at.transactional(records_per_transaction=7, abort_ratio=0.4, seed=3)
    bank.start()
    bank.wait_committed(12, timeout_s=WAIT_S)
    bank.wait_until(lambda: bank.transactions_aborted >= 4, "aborting", timeout_s=WAIT_S)
    assert bank.stop() == 0
    at.final()
    ended = at.rows(op="end")
    assert ended.height == at.rows(op="begin").height
    assert ended.filter(pl.col("outcome") == "ok").height == bank.transactions_committed
    assert ended.filter(pl.col("outcome") == "fail").height == bank.transactions_aborted
    sent = at.rows(op="send")
    for outcome, isolations in (("ok", {"uncommitted", "committed"}), ("fail", {"uncommitted"})):
        of = sent.join(ended.filter(pl.col("outcome") == outcome).select("transaction"), on="transaction")
        seen = at.rows(op="final").join(of.select("value"), on="value")
        assert set(seen["isolation"].to_list()) == isolations
    for isolation in ("uncommitted", "committed"):
        for partition in range(2):
            end = at.offset("log_end", isolation, partition)
            assert at.offset("reached", isolation, partition) == end


def test_a_hanging_transaction_is_told_as_not_reached(stage: Callable[..., Stage]) -> None:
    """A committed reader cannot pass an open transaction: at its deadline it says how far it came."""
    at = stage(2)
    shop = at.producer(rate=None, count=10, partition=0)
    shop.start()
    shop.wait_ended(timeout_s=WAIT_S)
    hanging = Producer(at.config | {"transactional.id": f"{at.topic}-hanging"})
    hanging.init_transactions(WAIT_S)
    hanging.begin_transaction()
    for _ in range(3):
        hanging.produce(at.topic, b"open", partition=0)
    assert hanging.flush(WAIT_S) == 0
    at.final(deadline_s=10.0)
    hanging.abort_transaction(WAIT_S)
    assert at.offset("reached", "uncommitted", 0) == at.offset("log_end", "uncommitted", 0) == 13
    assert at.offset("log_end", "committed", 0) == 13
    assert at.offset("reached", "committed", 0) == 10
    assert at.offset("reached", "committed", 1) == at.offset("log_end", "committed", 1) == 0
    open_ones = at.rows(op="final", isolation="uncommitted", value=foreign_value(None, b"open"))
    assert open_ones["offset"].to_list() == [10, 11, 12]


@pytest.mark.parametrize("isolation", ["uncommitted", "committed"])
def test_a_group_catches_up_with_a_log_that_ends_in_what_no_reader_is_given(
    isolation: Isolation, stage: Callable[..., Stage], kafka_cluster: Any
) -> None:
    """Behind the last record lie aborted ones and markers, whose end is never committed; an open transaction counts."""
    at = stage(1)
    for name, abort_ratio in (("keeps", 0.0), ("takes-back", 1.0)):
        bank = at.transactional(
            client=name, transactional_id=f"{at.topic}-{name}", abort_ratio=abort_ratio, count=50
        )
        bank.start()
        assert bank.wait_ended(timeout_s=WAIT_S) == 0
    desk = at.consumer(isolation=isolation)
    desk.start()
    group, reading = at.topic, {at.topic: Reading({at.topic}, isolation)}
    config = kafka_cluster.client_config()
    wait_caught_up(reading, config, timeout_s=WAIT_S)
    assert desk.stop() == 0
    assert desk.read == (50 if isolation == "committed" else 100)
    at.final()
    assert kafka_cluster.committed(group)[at.topic, 0] < at.offset("log_end", isolation, 0)

    hanging = at.transactional(
        client="hangs", transactional_id=f"{at.topic}-hangs", records_per_transaction=10_000
    )
    hanging.start()
    hanging.wait_acknowledged(10, timeout_s=WAIT_S)
    hanging.kill()
    with pytest.raises(WaitExpired, match="did not catch up"):
        wait_caught_up(reading, config, timeout_s=1.0)


def test_a_final_reader_without_a_broker_claims_nothing(stage: Callable[..., Stage]) -> None:
    """If nobody answers before the deadline, the ends are unknown and nothing is reached."""
    at = stage(1)
    at.config = {"bootstrap.servers": "127.0.0.1:9"}
    at.final(deadline_s=2.0)
    for op in ("log_end", "reached"):
        rows = at.rows(op=op)
        assert rows["offset"].null_count() == rows.height == 2
        assert set(rows["outcome"].to_list()) == {"info"}


@pytest.mark.parametrize(
    "way",
    [{"assignor": "range"}, {"assignor": "cooperative-sticky"}, {"group_protocol": "consumer"}],
    ids=["eager", "cooperative", "consumer protocol"],
)
def test_partitions_move_to_the_member_that_is_left(way: dict[str, str], stage: Callable[..., Stage]) -> None:
    """Two members share the partitions; when one leaves, the other owns all, in a later generation."""
    at = stage(4)
    if "assignor" in way:
        # A heartbeat's answer tells of a rebalance: librdkafka's come every 3 s, the new protocol's as the broker says.
        at.config |= {"heartbeat.interval.ms": 300}
    one, two = at.consumer(client="one", **way), at.consumer(client="two", **way)
    one.start()
    one.wait_assigned(4, timeout_s=WAIT_S)
    two.start()
    one.wait_assigned(2, timeout_s=WAIT_S)
    two.wait_assigned(2, timeout_s=WAIT_S)
    assert two.stop() == 0
    one.wait_assigned(4, timeout_s=WAIT_S)
    shop = at.producer(rate=None, count=400)
    shop.start()
    one.wait_read(400, timeout_s=WAIT_S)
    assert one.stop() == 0
    assigned = at.rows(op="assign")
    of_two = assigned.filter(pl.col("client") == "two")
    of_one = assigned.filter(pl.col("client") == "one")
    assert of_two["partition"].n_unique() == of_two.height == 2
    assert of_two["generation"].min() > of_one["generation"].min() >= 0
    assert of_one["generation"].max() > of_two["generation"].max()
    assert at.rows(op="revoke", client="two")["partition"].n_unique() == 2


def test_a_killed_consumer_reads_again_from_its_last_commit(stage: Callable[..., Stage]) -> None:
    """After kill -9 everything is read, and only what was not committed is read twice."""
    at = stage(1)
    at.config |= {"session.timeout.ms": 6_000}
    shop = at.producer(rate=None, count=300)
    shop.start()
    shop.wait_ended(timeout_s=WAIT_S)
    desk = at.consumer(commit="record", processing_ms=2)
    desk.start()
    desk.wait_until(lambda: desk.processed >= 50, "at work", timeout_s=WAIT_S)
    desk.kill()
    desk.restart()
    # Not by its counter: a record whose commit the kill cut off counts twice.
    wait_caught_up({at.topic: Reading({at.topic})}, at.config, timeout_s=WAIT_S)
    assert desk.stop() == 0
    processed = at.rows(op="process")
    assert sorted(processed["offset"].unique().to_list()) == list(range(300))
    assert processed.height - 300 <= 1
    second = processed.filter(pl.col("incarnation") == 1)["offset"].min()
    committed = at.rows(op="commit", outcome="ok").filter(pl.col("incarnation") == 0)["offset"].max()
    assert committed <= second <= committed + 1  # the commit in flight may have been carried out


@pytest.mark.parametrize("commit", ["batch", "record", "auto", "never"])
def test_a_graceful_stop_commits_by_the_mode(commit: str, stage: Callable[..., Stage]) -> None:
    """The next incarnation reads nothing twice, unless the mode never commits."""
    at = stage(2)
    shop = at.producer(rate=None, count=60)
    shop.start()
    shop.wait_ended(timeout_s=WAIT_S)
    desk = at.consumer(commit=commit)
    desk.start()
    desk.wait_read(60, timeout_s=WAIT_S)
    assert desk.stop() == 0
    desk.restart()
    again = at.producer(client="shop2", rate=None, count=10)
    again.start()
    desk.wait_read(130 if commit == "never" else 70, timeout_s=WAIT_S)
    assert desk.stop() == 0
    read = at.rows(op="read", client="desk")
    assert read.height == (130 if commit == "never" else 70)
    assert read["value"].n_unique() == 70
    assert (at.rows(op="commit", outcome="ok").height > 0) == (commit != "never")


@pytest.mark.parametrize(("backoff_ms", "outcome"), [(100, "fail"), (1, "info")])
def test_a_rejection_is_fail_only_where_it_is_proof(
    backoff_ms: int, outcome: str, stage: Callable[..., Stage]
) -> None:
    """What the broker rejects before it appends is fail, unless an earlier attempt may have gone before."""
    at = stage(1)
    at.topic += "-small"
    wanted = NewTopic(at.topic, num_partitions=1, replication_factor=1, config={"max.message.bytes": "500"})
    admin = AdminClient(at.config)
    admin.create_topics([wanted])[at.topic].result(WAIT_S)
    at.config |= {"retry.backoff.ms": backoff_ms}
    shop = at.producer(
        rate=200, count=None if outcome == "fail" else 200, size_bytes=2_000, idempotence=False
    )
    shop.start()
    if outcome == "fail":
        # The first sends wait for the connection, and all for a busy broker: too long for proof.
        shop.wait_until(lambda: shop.failed > 0, "refused for sure", timeout_s=WAIT_S)
        assert shop.stop() == 0
    else:
        assert shop.wait_ended(timeout_s=WAIT_S) == 0
    at.final()
    assert at.rows(op="final").height == 0
    sends = at.rows(op="send")
    assert set(sends["error"].to_list()) == {KafkaError.MSG_SIZE_TOO_LARGE}
    assert "ok" not in sends["outcome"].to_list()
    assert outcome in sends["outcome"].to_list()
    if outcome == "info":
        assert set(sends["outcome"].to_list()) == {"info"}


def test_a_killed_producer_claims_only_what_was_acknowledged(stage: Callable[..., Stage]) -> None:
    """After kill -9 at full speed every ok row is in the log at its offset, and the others are info."""
    at = stage(4)
    shop = at.producer(rate=None)
    shop.start()
    shop.wait_acknowledged(50_000, timeout_s=WAIT_S)
    shop.kill()
    at.final()
    sends = at.rows(op="send")
    assert set(sends["outcome"].to_list()) <= {"ok", "info"}
    in_log = set(places(at.rows(op="final", isolation="uncommitted")))
    assert set(places(sends.filter(pl.col("outcome") == "ok"))) <= in_log
    assert {value for _, _, value in in_log} <= set(sends["value"].to_list())


def test_a_fenced_producer_is_fatal(stage: Callable[..., Stage]) -> None:
    """A second producer with the same transactional.id ends the first: exit status 3, and words."""
    at = stage(1)
    old = at.transactional(client="old", rate=200)
    old.start()
    old.wait_committed(3, timeout_s=WAIT_S)
    new = at.transactional(client="new", rate=200)
    new.start()
    assert old.wait_ended(timeout_s=WAIT_S) == EXIT_FATAL
    assert "fenced" in old.last_error.lower()
    new.wait_committed(3, timeout_s=WAIT_S)
    assert new.stop() == 0, new.last_error
    assert old.stop() == EXIT_FATAL


def test_a_fenced_static_member_is_fatal(stage: Callable[..., Stage]) -> None:
    """Two members with one group.instance.id: one of them is fenced and says so; the other owns all."""
    at = stage(2)
    one = at.consumer(client="one", group_instance_id="desk-1")
    two = at.consumer(client="two", group_instance_id="desk-1")
    one.start()
    one.wait_assigned(2, timeout_s=WAIT_S)
    two.start()
    assert one.wait_ended(timeout_s=WAIT_S) == EXIT_FATAL
    two.wait_assigned(2, timeout_s=WAIT_S)
    assert two.stop() == 0
