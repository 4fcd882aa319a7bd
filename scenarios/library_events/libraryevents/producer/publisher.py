"""Sends a record and waits for its acknowledgement, without holding up the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from tenacity import (
    AsyncRetrying,
    before_sleep_log,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from libraryevents.events import EVENT_ID, Record
from libraryevents.lines import say, text
from libraryevents.producer.settings import ProducerSettings

log = logging.getLogger(__name__)


class SendFailed(Exception):
    """The record was not acknowledged; it may be in the log or not."""

    def __init__(self, error: KafkaError) -> None:
        super().__init__(error.str())
        self.error = error


# Neither another attempt nor another moment helps these.
_HOPELESS = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD})


class Publisher:
    """One idempotent producer with acks=all. Delivery reports are polled by a thread of its own."""

    def __init__(self, settings: ProducerSettings) -> None:
        config: dict[str, Any] = {
            **settings.client_config(),
            "client.id": "library-events-producer",
            "acks": "all",
            "enable.idempotence": True,
            "message.timeout.ms": settings.send_timeout_ms,
            "linger.ms": 2,
            # Asked again at once when a broker comes back, not only after librdkafka's ten seconds.
            "reconnect.backoff.max.ms": 1000,
        }
        self._producer = Producer(config, logger=log)
        self._settings = settings
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="delivery-reports", daemon=True)
        self._poller.start()

    async def send(self, record: Record) -> Message:
        """Send with retries; the delivery report, or SendFailed after the last attempt."""
        policy = AsyncRetrying(
            stop=stop_after_attempt(self._settings.send_attempts),
            wait=wait_random_exponential(
                multiplier=self._settings.send_backoff_s, max=self._settings.send_backoff_max_s
            ),
            retry=retry_if_exception(_may_pass),
            before_sleep=before_sleep_log(log, logging.WARNING),
            reraise=True,
        )
        try:
            return await policy(self._send_once, record)
        except SendFailed as failure:
            say("producer_send_error", **_told(record), exception=failure.error.name(), message=str(failure))
            raise

    async def _send_once(self, record: Record) -> Message:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Message] = loop.create_future()

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            loop.call_soon_threadsafe(settle, error, message)

        def settle(error: KafkaError | None, message: Message) -> None:
            if answered.done():  # the request was given up meanwhile
                return
            if error is None:
                answered.set_result(message)
            else:
                answered.set_exception(SendFailed(error))

        say("send", **_told(record))
        try:
            self._producer.produce(
                record.topic,
                key=record.key,
                value=record.value,
                headers=list(record.headers),
                on_delivery=on_delivery,
            )
        except BufferError:
            raise SendFailed(KafkaError(KafkaError._QUEUE_FULL)) from None
        except KafkaException as error:
            raise SendFailed(error.args[0]) from error
        message = await answered
        say("producer_send_success", **_told(record), partition=message.partition(), offset=message.offset())
        return message

    def close(self, *, timeout_s: float) -> None:
        """Wait for outstanding reports and end."""
        self._producer.flush(timeout_s)
        self._stopping.set()
        self._poller.join()

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(0.1)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, SendFailed) and error.error.code() not in _HOPELESS


def _told(record: Record) -> dict[str, Any]:
    event_id = record.header(EVENT_ID)
    return {
        "topic": record.topic,
        "key": text(record.key),
        "value": text(record.value),
        "event_id": event_id,
    }
