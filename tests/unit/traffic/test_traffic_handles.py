"""Handles of real client processes against mock brokers: start, hurt, steer, watch."""

from __future__ import annotations

import signal
from typing import Any

import polars as pl
import pytest

from kafkaos.errors import SetupFailed, WaitExpired, WrongUse
from kafkaos.history.payload import encode, foreign_value
from kafkaos.history.reading import read_segments
from kafkaos.traffic.child import Surroundings
from kafkaos.traffic.handles import ConsumerHandle, ProducerHandle
from kafkaos.traffic.settings import Config, ConsumerSettings, ProducerSettings
from kafkaos.traffic.status import State


def producer(around: Surroundings, brokers: Config, **given: Any) -> ProducerHandle:
    """A producer of 1,000 records a second."""
    settings = {"topics": ("orders",), "client": "shop", "rate": 1_000, "partition": "round_robin"} | given
    return ProducerHandle(ProducerSettings(config=brokers, **settings), around)


def consumer(around: Surroundings, brokers: Config, **given: Any) -> ConsumerHandle:
    """A member of the group `billing`."""
    settings = {"topics": ("orders",), "client": "desk", "group": "billing"} | given
    return ConsumerHandle(ConsumerSettings(config=brokers, **settings), around)


def rows_of(around: Surroundings) -> pl.DataFrame:
    """All segments of the run."""
    return read_segments(sorted((around.folder / "segments").glob("*.seg")))[0]


def test_a_graceful_stop_loses_no_answer(around: Surroundings, mock_brokers: Config) -> None:
    """After stop() every send is answered and the counters equal the recording."""
    shop = producer(around, mock_brokers)
    shop.start()
    shop.wait_acknowledged(200, timeout_s=20)
    assert shop.stop() == 0
    rows = rows_of(around)
    assert rows["outcome"].unique().to_list() == ["ok"]
    assert rows.height == shop.sent == shop.acknowledged
    assert shop.state is State.STOPPED


def test_kill_and_restart_keep_counting_and_never_reuse_a_value(
    around: Surroundings, mock_brokers: Config
) -> None:
    """A new incarnation has its own segment and values; the handle's counters go on."""
    shop = producer(around, mock_brokers)
    shop.start()
    shop.wait_acknowledged(100, timeout_s=20)
    shop.kill()
    before, sent = shop.acknowledged, shop.sent
    shop.restart()
    shop.wait_acknowledged(before + 100, timeout_s=20)
    assert shop.stop() == 0
    rows = rows_of(around)
    assert sorted(rows["incarnation"].unique().to_list()) == [0, 1]
    # Rows come before the counter: the kill may have fallen in between.
    assert rows["value"].n_unique() == rows.height >= shop.sent
    assert rows.filter(pl.col("incarnation") == 1).height == shop.sent - sent
    assert rows.filter(pl.col("outcome") == "ok").height >= shop.acknowledged


def test_a_mark_waits_for_sends_after_it(around: Surroundings, mock_brokers: Config) -> None:
    """wait_acknowledged(after=) counts afresh, also over a restart, and only for the last mark."""
    shop = producer(around, mock_brokers)
    shop.start()
    shop.wait_acknowledged(50, timeout_s=20)
    first = shop.mark()
    shop.wait_acknowledged(30, timeout_s=20, after=first)
    assert shop.acknowledged >= 80
    shop.restart()
    shop.wait_acknowledged(60, timeout_s=20, after=first)
    second = shop.mark()
    with pytest.raises(WrongUse, match="over"):
        shop.wait_acknowledged(1, timeout_s=1, after=first)
    shop.wait_acknowledged(1, timeout_s=20, after=second)


def test_hold_drain_and_go_on(around: Surroundings, mock_brokers: Config) -> None:
    """A held producer sends nothing, a drained one has all answers, and both can go on."""
    shop = producer(around, mock_brokers)
    shop.start(paused=True)
    shop.wait_until(lambda: shop.state is State.PAUSED, "paused", timeout_s=20)
    assert shop.sent == 0
    shop.go_on()
    shop.wait_acknowledged(50, timeout_s=20)
    shop.drain(timeout_s=20)
    drained = shop.sent
    assert shop.acknowledged == drained
    shop.go_on()
    shop.wait_acknowledged(drained + 20, timeout_s=20)


def test_a_frozen_client_makes_no_progress_and_goes_on(around: Surroundings, mock_brokers: Config) -> None:
    """SIGSTOP and SIGCONT: the wait expires with the counters in its words, then succeeds."""
    shop = producer(around, mock_brokers)
    shop.start()
    shop.wait_acknowledged(20, timeout_s=20)
    shop.pause()
    with pytest.raises(WaitExpired, match=r"'shop' was not acknowledged 1000000 records .*sent \d+"):
        shop.wait_acknowledged(1_000_000, timeout_s=0.2)
    sent = shop.sent
    shop.resume()
    shop.wait_acknowledged(sent + 20, timeout_s=20)


def test_a_client_that_crashed_is_told_at_once(around: Surroundings, mock_brokers: Config) -> None:
    """A wait on a dead process does not sit out its deadline, and stop() does not call it a clean end."""
    shop = producer(around, mock_brokers)
    shop.start()
    assert shop._process is not None
    shop._process.signal(signal.SIGSEGV)
    with pytest.raises(WaitExpired, match="ended before"):
        shop.wait_acknowledged(10_000_000, timeout_s=300)
    with pytest.raises(SetupFailed, match="crashed"):
        shop.stop()


def test_a_client_with_a_bad_property_says_so(around: Surroundings, mock_brokers: Config) -> None:
    """A mistake in the configuration is in the error's words, not only in a log."""
    shop = producer(around, mock_brokers | {"no.such.property": 1})
    shop.start()
    with pytest.raises(WaitExpired, match=r"no\.such\.property"):
        shop.wait_acknowledged(1, timeout_s=20)


def test_no_broker_is_survived_for_ever(around: Surroundings) -> None:
    """With nobody there the producer goes on, ends nothing as ok, and still stops gracefully."""
    shop = producer(
        around,
        {"bootstrap.servers": "127.0.0.1:9", "log_level": 2},
        partition=None,
        delivery_timeout_ms=100,
        flush_timeout_s=1.0,
    )
    shop.start()
    shop.wait_until(lambda: shop.unknown >= 50, "refused", timeout_s=20)
    assert shop.stop() == 0
    assert rows_of(around)["outcome"].unique().to_list() == ["info"]


def test_a_count_ends_the_producer_by_itself(around: Surroundings, mock_brokers: Config) -> None:
    """A count is kept exactly, at full speed."""
    shop = producer(around, mock_brokers, rate=None, count=5_001)
    shop.start()
    assert shop.wait_ended(timeout_s=30) == 0
    assert (shop.sent, shop.acknowledged) == (5_001, 5_001)
    assert rows_of(around).height == 5_001


def test_a_consumer_records_what_it_reads_and_commits(around: Surroundings, mock_brokers: Config) -> None:
    """Every acknowledged record is read once, with its value, and committed after it was read."""
    shop = producer(around, mock_brokers, rate=None, count=300, keys=9)
    shop.start()
    shop.wait_ended(timeout_s=30)
    desk = consumer(around, mock_brokers)
    desk.start()
    desk.wait_assigned(4, timeout_s=30)
    desk.wait_read(300, timeout_s=30)
    assert desk.stop() == 0
    rows = rows_of(around)
    place = ["partition", "offset", "value", "key"]
    sent = rows.filter(pl.col("op") == "send").select(place).sort(place)
    read = rows.filter(pl.col("op") == "read").select(place).sort(place)
    assert read.equals(sent)
    commits = rows.filter((pl.col("op") == "commit") & (pl.col("outcome") == "ok"))
    ends = sent.group_by("partition").agg(pl.col("offset").max() + 1).sort("partition")
    last = commits.group_by("partition").agg(pl.col("offset").max()).sort("partition")
    assert last.equals(ends)
    kinds = rows.filter(pl.col("client") == "desk")["op"].to_list()
    assert (kinds.count("assign"), kinds.count("revoke")) == (4, 4)
    assert desk.committed == commits.height


def test_a_consumer_with_no_group_reads_where_it_is_told(around: Surroundings, mock_brokers: Config) -> None:
    """An explicit assignment starts at its offsets, needs no group and commits nothing."""
    shop = producer(around, mock_brokers, rate=None, count=100)
    shop.start()
    shop.wait_ended(timeout_s=30)
    desk = consumer(
        around, mock_brokers, group=None, commit="never", assignment=(("orders", 0, 5), ("orders", 1, -2))
    )
    desk.start()
    desk.wait_read(20 + 25, timeout_s=30)
    desk.rewind()
    desk.wait_read(45 + 50, timeout_s=30)
    assert desk.stop() == 0
    rows = rows_of(around).filter(pl.col("client") == "desk")
    assert set(rows["op"].to_list()) == {"assign", "read", "seek"}
    assert rows.filter(pl.col("op") == "assign")["offset"].to_list() == [5, None]
    zero = rows.filter((pl.col("op") == "read") & (pl.col("partition") == 0))["offset"].to_list()
    assert zero == [*range(5, 25), *range(25)]


def test_commit_before_processing_is_ahead_of_the_work(around: Surroundings, mock_brokers: Config) -> None:
    """The mistake on purpose: when killed amid the work, the committed offset is past what was processed."""
    shop = producer(around, mock_brokers, rate=None, count=100, partition=0)
    shop.start()
    shop.wait_ended(timeout_s=30)
    desk = consumer(around, mock_brokers, commit="before", processing_ms=30)
    desk.start()
    desk.wait_until(lambda: desk.processed >= 3, "at work", timeout_s=30)
    desk.kill()
    rows = rows_of(around).filter(pl.col("client") == "desk")
    committed = rows.filter((pl.col("op") == "commit") & (pl.col("outcome") == "ok"))["offset"].max()
    processed = rows.filter(pl.col("op") == "process")["offset"].max()
    # How many records come at once, all or in two parts, is the client's to say.
    assert committed is not None
    assert processed is not None
    assert committed > processed + 1


def test_a_foreign_record_is_named_by_its_content_and_a_damaged_one_of_ours_is_corrupt(
    around: Surroundings, mock_brokers: Config
) -> None:
    """What is no payload of ours has a value id made of key and value; what claims to be ours must be whole."""
    from confluent_kafka import Producer

    other = Producer(mock_brokers)
    for key, value in ((b"k", b"hello"), (None, encode(7, 1, 64)[:-1]), (b"k", None), (None, b"x" * 64)):
        other.produce("orders", value, key=key, partition=0)
    assert other.flush(20) == 0
    desk = consumer(around, mock_brokers)
    desk.start()
    desk.wait_read(4, timeout_s=30)
    assert desk.stop() == 0
    read = rows_of(around).filter(pl.col("op") == "read")
    assert read["corrupt"].to_list() == [False, True, False, False]
    named = [foreign_value(b"k", b"hello"), 7, foreign_value(b"k", b""), foreign_value(None, b"x" * 64)]
    assert read["value"].to_list() == named
    assert len(set(named)) == 4
    assert desk.counters.corrupt == 1
