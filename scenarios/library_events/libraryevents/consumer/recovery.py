"""Two ways to keep a record that failed: in a topic, or in the database."""

from __future__ import annotations

import logging
import traceback
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from libraryevents.consumer.settings import ConsumerServiceSettings
from libraryevents.consumer.store import LibraryStore, Status
from libraryevents.events import Record
from libraryevents.lines import say

log = logging.getLogger(__name__)
ROUND = "x-retry-round"
STACKTRACE_MAX_CHARS = 8000


class TopicRecovery:
    """A failure that may pass goes to the retry topic, any other to the dead-letter topic, with all that is known."""

    def __init__(self, settings: ConsumerServiceSettings) -> None:
        config: dict[str, Any] = {
            **settings.client_config(),
            "client.id": f"{settings.group}-recovery",
            "acks": "all",
            "enable.idempotence": True,
            "message.timeout.ms": 10_000,
            "reconnect.backoff.max.ms": 1000,
        }
        self._producer = Producer(config, logger=log)
        self._settings = settings

    def recover(self, record: Record, error: Exception, *, retryable: bool) -> str:
        """Returns once the record is acknowledged there; KafkaException if it is not."""
        rounds = _round(record)
        again = retryable and rounds < self._settings.retry_rounds
        topic = self._settings.retry_topic if again else self._settings.dead_letter_topic
        self._send(topic, described(record, error).with_headers(x_retry_round=str(rounds + 1)))
        say(
            "record_recovered",
            to=topic,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            event_id=record.event_id,
            round=rounds + 1,
            exception=type(error).__name__,
        )
        return "retried" if again else "dead"

    def _send(self, topic: str, record: Record) -> None:
        answers: list[KafkaError | None] = []

        def on_delivery(failure: KafkaError | None, _: Message) -> None:
            answers.append(failure)

        self._producer.produce(
            topic, key=record.key, value=record.value, headers=list(record.headers), on_delivery=on_delivery
        )
        while not answers:  # librdkafka answers at message.timeout.ms at the latest
            self._producer.poll(0.1)
        if answers[0] is not None:
            raise KafkaException(answers[0])


class DatabaseRecovery:
    """Failure records: RETRY where the failure may pass, DEAD where not."""

    def __init__(self, store: LibraryStore) -> None:
        self._store = store

    def recover(self, record: Record, error: Exception, *, retryable: bool) -> str:
        """Returns once the failure record is durable."""
        status = Status.RETRY if retryable else Status.DEAD
        self._store.keep_failure(record, exception=told(error), status=status)
        say(
            "record_recovered",
            to="failure_record",
            status=status.value,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            event_id=record.event_id,
            exception=type(error).__name__,
        )
        return "retried" if retryable else "dead"


def told(error: BaseException) -> str:
    """Class and first line."""
    first = str(error).splitlines()[0] if str(error) else ""
    return f"{type(error).__name__}: {first}"


def described(record: Record, error: BaseException) -> Record:
    """The record with headers for its failure; where it came from first is kept over all rounds."""
    cause = error.__cause__ or error.__context__
    trace = "".join(traceback.format_exception(error))
    failure = record.with_headers(
        x_exception=_class(error),
        x_exception_cause=_class(cause) if cause is not None else "",
        x_exception_message=str(error),
        x_exception_stacktrace=trace[-STACKTRACE_MAX_CHARS:],
    )
    if record.header("x-original-topic") is not None:
        return failure
    return failure.with_headers(
        x_original_topic=record.topic,
        x_original_partition=str(record.partition),
        x_original_offset=str(record.offset),
        x_original_timestamp=str(record.timestamp_ms),
    )


def _class(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"


def _round(record: Record) -> int:
    given = record.header(ROUND)
    return int(given) if given and given.isdecimal() else 0
