"""A row is ok only by a delivery report, and every answer finds its row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest
from confluent_kafka import KafkaError

from kafkaos.history.rows import Op
from kafkaos.traffic import sends as sends_module
from kafkaos.traffic.status import Control, Word

if TYPE_CHECKING:
    from conftest import Bench


@pytest.mark.parametrize("batch", [True, False], ids=["produce_batch", "produce"])
@pytest.mark.parametrize("partition", [None, 2, "round_robin"])
def test_acknowledged_sends_are_rows_with_their_offsets(
    batch: bool,
    partition: int | str | None,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each send is one ok row; per partition the offsets are those of the log, in the order of sending."""
    monkeypatch.setattr(sends_module, "_HAS_BATCH", batch)
    sends = bench.sends(partition=partition, keys=50)
    for count in (1, 700, 3):
        sends.send("orders", count, partitions=4 if partition == "round_robin" else 0)
    assert sends.flush(timeout_s=10)
    rows = bench.rows()
    assert rows["outcome"].unique().to_list() == ["ok"]
    assert rows["sequence"].to_list() == list(range(704))
    assert rows["value"].to_list() == [7 << 40 | sequence for sequence in range(704)]
    assert rows["key"].to_list() == [sequence % 50 for sequence in range(704)]
    for (number,), part in rows.group_by("partition"):
        assert part.sort("sequence")["offset"].to_list() == list(range(len(part))), number
    if partition == "round_robin":
        assert rows["partition"].to_list() == [sequence % 4 for sequence in range(704)]
    elif partition == 2:
        assert rows["partition"].unique().to_list() == [2]
    else:  # by key: equal keys to one partition, and not all keys to the same
        assert rows.group_by("key").agg(pl.col("partition").n_unique())["partition"].max() == 1
        assert rows["partition"].n_unique() > 1
    assert bench.client.page[Word.ACKNOWLEDGED] == 704


@pytest.mark.parametrize("batch", [True, False], ids=["produce_batch", "produce"])
def test_a_full_queue_is_waited_for_and_keeps_the_order(
    batch: bool,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A block larger than librdkafka's queue goes through whole and in order; nothing counts as failed."""
    monkeypatch.setattr(sends_module, "_HAS_BATCH", batch)
    sends = bench.sends(partition=0, config={"queue.buffering.max.messages": 10, "linger.ms": 0})
    sends.send("orders", 95)
    assert sends.flush(timeout_s=10)
    rows = bench.rows()
    assert rows["outcome"].to_list() == ["ok"] * 95
    assert rows["offset"].to_list() == list(range(95))


def test_what_the_client_refuses_is_fail(bench: Bench) -> None:
    """A record that produce() itself refuses was surely never appended; its error code is in the row."""
    sends = bench.sends(size_bytes=5_000, config={"message.max.bytes": 1_000})
    sends.send("orders", 3)
    assert sends.outstanding == 0
    rows = bench.rows()
    assert rows["outcome"].to_list() == ["fail"] * 3
    assert rows["error"].to_list() == [KafkaError.MSG_SIZE_TOO_LARGE] * 3
    assert bench.client.page[Word.FAILED] == 3


def test_a_time_out_is_info(bench: Bench) -> None:
    """A message that timed out may be in the log."""
    sends = bench.sends(
        delivery_timeout_ms=50,
        idempotence=False,
        config={"test.mock.num.brokers": 0, "bootstrap.servers": "127.0.0.1:9"},
    )
    sends.send("orders", 4)
    assert sends.flush(timeout_s=10)
    rows = bench.rows()
    assert rows["outcome"].to_list() == ["info"] * 4
    assert rows["error"].to_list() == [KafkaError._MSG_TIMED_OUT] * 4
    assert (bench.client.page[Word.UNKNOWN], bench.client.page[Word.FAILED]) == (4, 0)


def test_a_send_with_acks_0_stays_info(bench: Bench) -> None:
    """Nobody acknowledged it, so it is neither ok nor counted as acknowledged."""
    sends = bench.sends(acks="0", idempotence=False)
    sends.send("orders", 10)
    assert sends.flush(timeout_s=10)
    rows = bench.rows()
    assert rows["outcome"].unique().to_list() == ["info"]
    assert rows["offset"].null_count() == 10
    assert bench.client.page[Word.ACKNOWLEDGED] == 0


def test_unanswered_sends_are_info(bench: Bench) -> None:
    """A producer that stops waiting claims nothing."""
    sends = bench.sends(config={"test.mock.num.brokers": 0, "bootstrap.servers": "127.0.0.1:9"})
    sends.send("orders", 4)
    assert not sends.flush(timeout_s=0.05)
    assert bench.rows()["outcome"].to_list() == ["info"] * 4


def test_a_stop_in_front_of_a_full_queue_ends(bench: Bench) -> None:
    """With no broker and no room, a stop is heeded; what never entered the client is fail."""
    sends = bench.sends(
        config={
            "test.mock.num.brokers": 0,
            "bootstrap.servers": "127.0.0.1:9",
            "queue.buffering.max.messages": 10,
        }
    )
    bench.client.page[Word.CONTROL] = Control.STOP
    sends.send("orders", 30)
    rows = bench.rows()
    assert rows["outcome"].to_list() == ["info"] * 10 + ["fail"] * 20


def test_answers_find_their_rows_between_other_rows(bench: Bench) -> None:
    """Rows of other operations between the blocks do not shift the answers."""
    sends = bench.sends(partition=0)
    for number in range(5):
        bench.recorder.add(Op.BEGIN, transaction=number)
        sends.send("orders", 3, transaction=number)
    assert sends.flush(timeout_s=10)
    rows = bench.rows()
    assert rows.filter(pl.col("op") == "begin").height == 5
    sent = rows.filter(pl.col("op") == "send")
    assert sent["offset"].to_list() == list(range(15))
    assert sent["transaction"].to_list() == [number for number in range(5) for _ in range(3)]


def test_a_mark_counts_only_what_was_sent_after_it(bench: Bench) -> None:
    """Acknowledgements of earlier sends that arrive after the mark do not count for it."""
    sends = bench.sends(partition=0)
    sends.send("orders", 20)
    bench.client.page[Word.MARK] = 1
    assert bench.client.see_mark()
    sends.mark()
    sends.send("orders", 5)
    assert sends.flush(timeout_s=10)
    assert (bench.client.page[Word.ACKNOWLEDGED], bench.client.page[Word.MARKED_ACKNOWLEDGED]) == (25, 5)
