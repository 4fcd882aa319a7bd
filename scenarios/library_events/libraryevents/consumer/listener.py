"""A listener: one consumer, one thread, and the three ways to acknowledge what it has done."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from tenacity import Retrying, retry_if_exception, sleep_using_event, stop_after_delay, wait_exponential

from libraryevents.consumer.processing import Processor, Stopped
from libraryevents.consumer.settings import AckMode, ConsumerServiceSettings
from libraryevents.events import Record
from libraryevents.lines import say, text

log = logging.getLogger(__name__)
POLL_S = 0.2

# The partitions are another member's by now: it reads what was not committed.
_LOST = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError._NO_OFFSET,
        KafkaError._STATE,
    }
)


class Listener(threading.Thread):
    """Reads a topic, hands each record to the processor, commits as its mode says. `failure` tells why it died."""

    def __init__(
        self,
        name: str,
        settings: ConsumerServiceSettings,
        processor: Processor,
        stopping: threading.Event,
        *,
        topic: str,
        group: str,
    ) -> None:
        super().__init__(name=name)
        self.failure: BaseException | None = None
        self.assigned: list[int] = []
        self._settings = settings
        self._processor = processor
        self._stopping = stopping
        self._topic = topic
        self._mode = settings.ack_mode
        config: dict[str, Any] = {
            **settings.client_config(),
            "client.id": name,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "max.poll.interval.ms": int(settings.max_poll_interval_s * 1000),
            "reconnect.backoff.max.ms": 1000,
            # A topic that is made after this start is found in seconds, not in librdkafka's five minutes.
            "topic.metadata.refresh.interval.ms": 10_000,
            **settings.consumer_config,
        }
        if settings.instance_id is not None:
            config["group.instance.id"] = f"{settings.instance_id}-{name}"
        self._consumer = Consumer(config, logger=log)
        self._pending: dict[int, int] = {}  # partition: next offset, of what is done and not acknowledged
        self._done = 0  # records in _pending

    def run(self) -> None:
        """Until stopping is set, or until something fails that nobody foresaw: that ends the service."""
        try:
            self._subscribe()
            while not self._stopping.is_set():
                self._work(self._poll())
        except Stopped:
            pass
        except Exception as error:
            log.exception("listener failed", extra={"listener": self.name})
            self.failure = error
        finally:
            self._close()

    def _subscribe(self) -> None:
        self._consumer.subscribe(
            [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def _poll(self) -> list[Message]:
        first = self._consumer.poll(POLL_S)
        if first is None:
            return []
        if self._mode is not AckMode.BATCH or self._settings.batch_max == 1:
            return [first]
        return [first, *self._consumer.consume(self._settings.batch_max - 1, 0)]

    def _work(self, messages: Sequence[Message]) -> None:
        records = [_record(message) for message in messages if not self._is_error(message)]
        for record in records:  # what a poll returned is delivered, also where a stop cuts the work short
            say("record_data", **_told(record), listener=self.name)
        for record in records:
            effect = self._processor.handle(record)
            say("process", **_told(record), listener=self.name, effect=effect)
            assert record.partition is not None
            assert record.offset is not None
            self._pending[record.partition] = record.offset + 1
            self._done += 1
            if self._mode is AckMode.RECORD:
                self._acknowledge()
        idle = not records
        if self._mode is AckMode.BATCH or (
            self._mode is AckMode.MANUAL and (idle or self._done >= self._settings.ack_every)
        ):
            self._acknowledge()

    def _is_error(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return False
        if error.fatal() or error.code() in (
            KafkaError._FATAL,  # what a fenced consumer says; it would never be given a record again
            KafkaError.TOPIC_AUTHORIZATION_FAILED,
            KafkaError.GROUP_AUTHORIZATION_FAILED,
            KafkaError.FENCED_INSTANCE_ID,
        ):
            raise KafkaException(error)
        log.warning("poll failed", extra={"listener": self.name, "error": error.str()})
        if error.code() == KafkaError.NOT_COORDINATOR:
            # librdkafka asks only once for the committed offsets (its issue 5586): it would never read again.
            self._consumer.unsubscribe()
            self._subscribe()
        return True

    def _acknowledge(self) -> None:
        """Commit what is done and wait for the answer. Nothing more is worked on before that: it bounds re-reading."""
        if not self._pending:
            return
        places = [
            TopicPartition(self._topic, partition, offset) for partition, offset in self._pending.items()
        ]
        told = [
            {"topic": place.topic, "partition": place.partition, "offset": place.offset} for place in places
        ]
        policy = Retrying(
            retry=retry_if_exception(_may_pass),
            wait=wait_exponential(multiplier=0.05, max=2),
            stop=stop_after_delay(self._settings.max_poll_interval_s / 2),
            sleep=sleep_using_event(self._stopping),
            reraise=True,
        )
        try:
            answers = policy(self._consumer.commit, offsets=places, asynchronous=False)
            failed = next((answer.error for answer in answers if answer.error is not None), None)
            say(
                "offsets_committed",
                offsets=told,
                success=failed is None,
                **({} if failed is None else {"error": failed.str()}),
                listener=self.name,
            )
        except KafkaException as error:
            reason = error.args[0]
            say("offsets_committed", offsets=told, success=False, error=reason.str(), listener=self.name)
            if reason.code() not in _LOST:
                raise
        self._pending.clear()
        self._done = 0

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # Told before the first record can be delivered; with where the group goes on, as far as that is known.
        consumer.assign(partitions)
        self.assigned = sorted(place.partition for place in partitions)
        self._pending.clear()
        self._done = 0
        say("partitions_assigned", partitions=_places(partitions), listener=self.name)

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        # Runs within poll(): no record is being worked on. What is done must not be read again by the next owner.
        self._acknowledge()
        self.assigned = []
        say("partitions_revoked", partitions=_places(partitions), listener=self.name)

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._pending.clear()
        self._done = 0
        self.assigned = []
        say("partitions_revoked", partitions=_places(partitions), listener=self.name, lost=True)

    def _close(self) -> None:
        try:
            self._acknowledge()
        except KafkaException:
            log.exception("the last commit failed", extra={"listener": self.name})
        self._consumer.close()


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() not in _LOST


def _record(message: Message) -> Record:
    return Record(
        topic=message.topic(),
        key=message.key(),
        value=message.value(),
        headers=tuple((name, value or b"") for name, value in message.headers() or ()),
        partition=message.partition(),
        offset=message.offset(),
        timestamp_ms=message.timestamp()[1],
    )


def _told(record: Record) -> dict[str, Any]:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": text(record.key),
        "value": text(record.value),
        "event_id": record.event_id,
    }


def _places(partitions: Sequence[TopicPartition]) -> list[dict[str, Any]]:
    return [{"topic": place.topic, "partition": place.partition} for place in partitions]
