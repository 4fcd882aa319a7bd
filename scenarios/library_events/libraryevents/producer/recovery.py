"""Where an event goes whose send failed after all retries, and how it gets from there to its topic."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from libraryevents.events import Record
from libraryevents.lines import say
from libraryevents.producer.publisher import Publisher, SendFailed
from libraryevents.producer.settings import ProducerSettings
from libraryevents.producer.store import FailedSend, FailedSends

log = logging.getLogger(__name__)
BATCH = 200
ORIGINAL_TOPIC = "x-original-topic"
# After these a consumer never reads again: a static member whose last join a dead coordinator had not kept is fenced
# for good, and librdkafka asks only once for the committed offsets (its issue 5586).
_JOIN_AGAIN = frozenset({KafkaError._FATAL, KafkaError.NOT_COORDINATOR})


class Recovery(Protocol):
    """A place that keeps what could not be sent."""

    async def keep(self, record: Record, failure: SendFailed) -> None:
        """Make it durable; raises where that fails, and then the event is not accepted."""

    async def replay(self) -> int:
        """Send what is kept; how many were sent. What fails again stays kept."""

    async def counts(self) -> dict[str, int]:
        """For /health."""

    def close(self) -> None: ...


class DatabaseRecovery:
    """Rows with status RETRY, which become SUCCESS once they were sent."""

    def __init__(self, store: FailedSends, publisher: Publisher) -> None:
        self._store = store
        self._publisher = publisher

    async def keep(self, record: Record, failure: SendFailed) -> None:
        event_id = record.event_id
        await asyncio.to_thread(self._store.store, record, event_id=event_id, error=str(failure))
        say("event_stored", event_id=event_id, status="RETRY")

    async def replay(self) -> int:
        """All that wait, a batch at a time; ends at the first batch of which nothing could be sent."""
        replayed = 0
        while waiting := await asyncio.to_thread(self._store.waiting, at_most=BATCH):
            sent, failures = await self._send(waiting)
            if sent:
                await asyncio.to_thread(self._store.sent, [failed.number for failed in sent])
                for failed in sent:
                    say("event_replayed", event_id=failed.record.event_id, status="SUCCESS")
            for failed, failure in failures:
                await asyncio.to_thread(self._store.failed_again, [failed.number], error=str(failure))
            replayed += len(sent)
            if failures or len(waiting) < BATCH:
                break
        return replayed

    async def _send(
        self, waiting: Sequence[FailedSend]
    ) -> tuple[list[FailedSend], list[tuple[FailedSend, SendFailed]]]:
        answers = await asyncio.gather(
            *(self._publisher.send(failed.record) for failed in waiting), return_exceptions=True
        )
        sent, failures = [], []
        for failed, answer in zip(waiting, answers, strict=True):
            if isinstance(answer, SendFailed):
                failures.append((failed, answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                sent.append(failed)
        return sent, failures

    async def counts(self) -> dict[str, int]:
        return await asyncio.to_thread(self._store.counts)

    def close(self) -> None:
        self._store.close()


class TopicRecovery:
    """A second topic, with settings that still take records when the first does not.

    What is read from it is committed only after it was acknowledged in its own topic. With the whole cluster down there
    is nowhere to keep an event: such a request is not accepted.
    """

    def __init__(self, settings: ProducerSettings, publisher: Publisher) -> None:
        self._topic = settings.recovery_topic
        self._publisher = publisher
        self._kept = self._replayed = 0
        self._config: dict[str, Any] = {
            **settings.client_config(),
            "client.id": "library-events-recovery",
            "group.id": settings.recovery_group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            # A topic that is made after this start is found in seconds, not in librdkafka's five minutes.
            "topic.metadata.refresh.interval.ms": 10_000,
        }
        if settings.recovery_instance_id is not None:
            self._config["group.instance.id"] = settings.recovery_instance_id
        self._consumer = self._joined()

    async def keep(self, record: Record, failure: SendFailed) -> None:
        kept = record.with_headers(x_original_topic=record.topic, x_exception_message=str(failure))
        await self._publisher.send(_moved(kept, self._topic))
        self._kept += 1
        say("event_stored", event_id=record.event_id, status="RETRY", recovery_topic=self._topic)

    async def replay(self) -> int:
        messages = await asyncio.to_thread(self._consumer.consume, BATCH, 0.2)
        replayed = 0
        for number, message in enumerate(messages):
            if (error := message.error()) is not None:
                log.warning("cannot read the recovery topic", extra={"error": error.str()})
                if error.code() in _JOIN_AGAIN:
                    await asyncio.to_thread(self._join_again)
                    break
                continue
            record = _of(message)
            try:
                await self._publisher.send(_moved(record, record.header(ORIGINAL_TOPIC) or record.topic))
            except SendFailed:
                await asyncio.to_thread(self._back_to, messages[number:])
                break
            await asyncio.to_thread(self._commit, message)
            say("event_replayed", event_id=record.event_id, status="SUCCESS")
            replayed += 1
        self._replayed += replayed
        return replayed

    async def counts(self) -> dict[str, int]:
        return {"kept": self._kept, "replayed": self._replayed}

    def close(self) -> None:
        self._consumer.close()

    def _joined(self) -> Consumer:
        consumer = Consumer(self._config, logger=log)
        consumer.subscribe([self._topic])
        return consumer

    def _join_again(self) -> None:
        self._consumer.close()
        self._consumer = self._joined()
        say("recovery_joined_again", recovery_topic=self._topic)

    def _commit(self, message: Message) -> None:
        try:
            self._consumer.commit(message=message, asynchronous=False)
        except KafkaException as error:
            # It is read again, sent again, and known by its event id.
            log.warning("commit failed", extra={"error": str(error)})

    def _back_to(self, messages: Sequence[Message]) -> None:
        """Read these again next time."""
        from confluent_kafka import TopicPartition

        first: dict[int, Any] = {}
        for message in messages:
            if message.error() is None:
                first.setdefault(message.partition(), message.offset())
        for partition, offset in first.items():
            try:
                self._consumer.seek(TopicPartition(self._topic, partition, offset))
            except KafkaException as error:  # the partition is another member's now, who starts at the commit
                log.warning("seek failed", extra={"error": str(error)})


def _moved(record: Record, topic: str) -> Record:
    return Record(topic=topic, key=record.key, value=record.value, headers=record.headers)


def _of(message: Message) -> Record:
    headers = tuple((name, value or b"") for name, value in message.headers() or ())
    return Record(topic=message.topic(), key=message.key(), value=message.value(), headers=headers)
