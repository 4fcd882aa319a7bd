"""A transactional producer, and what is told of its transactions."""

import contextlib
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from billing.calls import CALL_S, GRACE_S, Standstill, Stopping, through, within
from streaming.lines import say

NUMBERS = 1_000_000
"""Transactions of an incarnation are numbered from so many times its own number on."""


class Told:
    """Tells the begin and end of transactions, over all producers of a process."""

    def __init__(self, incarnation: int) -> None:
        self._next = incarnation * NUMBERS
        self._open: tuple[int, str] | None = None

    def begin(self) -> int:
        """The number of the transaction that begins."""
        number = self._next
        self._next += 1
        self._open = (number, "aborted")
        say("begin", transaction=number)
        return number

    def commit_asked(self) -> None:
        """From now on nobody but the coordinator knows how it ends, until it answers."""
        assert self._open is not None
        self._open = (self._open[0], "unknown")

    def end(self, outcome: str | None = None) -> None:
        """Tell the end of the open one, if there is one; without an outcome it was left to the next producer."""
        if self._open is not None:
            say("end", transaction=self._open[0], outcome=outcome or self._open[1])
            self._open = None


class Transactions:
    """One producer's transactions. Each method raises as `through` does."""

    def __init__(self, config: dict[str, str], transactional_id: str, told: Told, stopping: Stopping) -> None:
        self._told = told
        self._stopping = stopping
        self._lost = False
        self._producer = Producer(
            {**config, "transactional.id": transactional_id, "reconnect.backoff.max.ms": 1000}
        )
        self._through("init_transactions", lambda: self._producer.init_transactions(CALL_S))
        told.end()  # that aborted what another producer left open

    def begin(self) -> int:
        """Begin one; its number."""
        self._through("begin_transaction", self._producer.begin_transaction)
        return self._told.begin()

    def send(self, number: int, topic: str, *, partition: int, key: str, value: str) -> None:
        """Hand over one record of it."""
        record = {"topic": topic, "key": key, "value": value, "transaction": number}
        say("send", partition=partition, **record)

        def answered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                say("producer_send_success", **record, partition=partition, offset=message.offset())
            else:
                say("producer_send_error", **record, exception=error.name(), message=error.str())

        self._producer.produce(topic, value, key, partition, on_delivery=answered)

    def commit(self, offsets: list[TopicPartition] | None = None, member: Any = None) -> None:
        """Commit it, with the offsets of a consumer group: `member` is the consumer's metadata."""
        if offsets is not None:
            self._through(
                "send_offsets_to_transaction",
                lambda: self._producer.send_offsets_to_transaction(offsets, member, CALL_S),
            )
        self._told.commit_asked()
        self._through("commit_transaction", lambda: self._producer.commit_transaction(CALL_S))
        self._told.end("committed")

    def abort(self) -> None:
        """Abort it, its records being in the log by then."""
        self._through("flush", self._flush)
        self._through("abort_transaction", lambda: self._producer.abort_transaction(CALL_S))
        self._told.end("aborted")

    def close(self) -> None:
        """What is open is aborted, by the next producer if need be."""
        if not self._lost:
            with contextlib.suppress(Standstill, KafkaException):
                within(CALL_S + GRACE_S, "close", self._producer.close)

    def _flush(self) -> None:
        if self._producer.flush(CALL_S):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "records are under way", retriable=True))

    def _through(self, what: str, call: Any) -> None:
        try:
            through(what, call, self._stopping)
        except Standstill:
            self._lost = True
            raise
