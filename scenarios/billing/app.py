"""Reads orders, writes an invoice for each: `python -m billing.app`.

Outputs and offsets are one transaction. Whatever goes wrong has one remedy: both clients are thrown away, and new
ones go on from what is committed. The new producer has the same transactional id, so that its first act aborts what
the old one left open, and fences the old one, which may still be hanging in a call.
"""

import itertools
import json
import logging
import sys
import time
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from billing.calls import CALL_S, GRACE_S, HOPELESS, StartOver, Stopping, until_asked, within
from billing.model import invoice_of
from billing.settings import Settings
from billing.transactions import Told, Transactions
from streaming.lines import say

log = logging.getLogger("billing")
BATCH_RECORDS = 50
POLL_S = 0.1
PAUSE_S = 0.5
OFFSETS_S = 30.0
"""How long the coordinator may take to tell where to go on."""


class Billing:
    """Works with one consumer and one producer until it has to start over with others."""

    def __init__(self, settings: Settings, stopping: Stopping) -> None:
        self._settings = settings
        self._stopping = stopping
        self._told = Told(settings.incarnation)
        self._numbers = itertools.count()
        self._ready = False

    def run(self) -> None:
        """Until the end is asked for; KafkaException where no new clients would help."""
        while not self._stopping:
            try:
                self._work()
            except StartOver as reason:
                log.warning("starting over: %s", reason)
                say("started_over", reason=str(reason))
                time.sleep(PAUSE_S)

    def _work(self) -> None:
        settings = self._settings
        # First of all: while a transaction is open the group does not tell its offsets.
        producer = Transactions(
            settings.client, f"{settings.group}-{settings.instance}", self._told, self._stopping
        )
        try:
            self._bill_all(producer)
        finally:
            producer.close()

    def _bill_all(self, producer: Transactions) -> None:
        consumer = Consumer(
            {
                **self._settings.client,
                "group.id": self._settings.group,
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "session.timeout.ms": 6000,
                "fetch.queue.backoff.ms": 10,
                "reconnect.backoff.max.ms": 1000,
            }
        )
        try:
            consumer.subscribe([self._settings.orders], on_assign=assign, on_revoke=revoked, on_lost=revoked)
            if not self._ready:
                say("startup_complete")
                self._ready = True
            while not self._stopping:
                orders = [one for one in consumer.consume(BATCH_RECORDS, POLL_S) if is_record(one)]
                if orders:
                    self._bill(producer, consumer, orders)
        finally:
            # Else the partitions would stay its own until its session is over.
            within(CALL_S + GRACE_S, "leaving the group", consumer.close)

    def _bill(self, producer: Transactions, consumer: Consumer, orders: list[Message]) -> None:
        number = producer.begin()
        ends: dict[tuple[str, int], int] = {}
        for order in orders:
            place = {"topic": order.topic(), "partition": order.partition(), "offset": order.offset()}
            key, value = order.key().decode(), order.value().decode()
            say("record_data", **place, key=key, value=value)
            invoice = invoice_of(json.loads(value), f"{self._settings.incarnation}-{next(self._numbers)}")
            # The partition of its order: so a customer's invoices are in the order of the orders.
            producer.send(
                number,
                self._settings.invoices,
                partition=order.partition(),
                key=key,
                value=json.dumps(invoice),
            )
            say("process", **place, key=key, value=value)
            ends[order.topic(), order.partition()] = order.offset() + 1
        offsets = [TopicPartition(*place, end) for place, end in ends.items()]
        producer.commit(offsets, consumer.consumer_group_metadata())
        say(
            "offsets_committed",
            offsets=[_place(one) | {"offset": one.offset} for one in offsets],
            success=True,
        )


def assign(consumer: Consumer, places: list[TopicPartition]) -> None:
    """Begin where the group has committed, at the very beginning where it never has.

    It asks itself: librdkafka asks once, and does not read the partitions if the coordinator has just moved (5586).
    """
    consumer.assign(
        [
            TopicPartition(one.topic, one.partition, one.offset if one.offset >= 0 else OFFSET_BEGINNING)
            for one in (committed(consumer, places) if places else [])
        ]
    )
    say("partitions_assigned", partitions=[_place(one) for one in places])


def committed(consumer: Consumer, places: list[TopicPartition]) -> list[TopicPartition]:
    """The committed offsets; StartOver if nobody tells them in time."""
    deadline_s = time.monotonic() + OFFSETS_S
    while True:
        try:
            found = consumer.committed(places, timeout=CALL_S)
            for one in found:
                if one.error is not None:  # such as an open transaction's offsets
                    raise KafkaException(one.error)
        except KafkaException as failure:
            if failure.args[0].code() in HOPELESS:
                raise
            if time.monotonic() > deadline_s:
                raise StartOver(f"nobody told the committed offsets: {failure.args[0].str()}") from failure
            time.sleep(POLL_S)
        else:
            return found


def revoked(_: Consumer, places: list[TopicPartition]) -> None:
    """Told in poll alone: no transaction is open then."""
    say("partitions_revoked", partitions=[_place(one) for one in places])


def is_record(message: Message) -> bool:
    """Whether it is no error; those after which nothing would be read are raised."""
    error = message.error()
    if error is None:
        return True
    if error.code() in HOPELESS:
        raise KafkaException(error)
    if error.fatal():
        raise StartOver(error.str())
    log.warning("poll: %s", error.str())
    return False


def _place(one: TopicPartition) -> dict[str, Any]:
    return {"topic": one.topic, "partition": one.partition}


if __name__ == "__main__":
    sys.exit(until_asked(lambda stopping: Billing(Settings.of(), stopping).run()))
