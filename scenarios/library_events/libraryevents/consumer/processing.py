"""One record through to its end: the work, the back-off, and the recovery when the work failed for good."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
)
from tenacity.wait import wait_exponential, wait_fixed

from libraryevents.consumer.settings import ConsumerServiceSettings
from libraryevents.consumer.store import Effect, LibraryStore
from libraryevents.events import Record, decode
from libraryevents.lines import say

log = logging.getLogger(__name__)
RetryListener = Callable[[Record, int, BaseException, float], None]


class Stopped(Exception):
    """The service is being stopped; the record is not done, and is read again after the next start."""


class Recovery(Protocol):
    """What becomes of a record that failed in the end."""

    def recover(self, record: Record, error: Exception, *, retryable: bool) -> str:
        """Put it somewhere safe, and say in a word where. Raises where that fails: then it is not done."""


class LibraryEventsService:
    """The work itself; listeners, the retry listener and the scheduler all call this one."""

    def __init__(self, store: LibraryStore) -> None:
        self._store = store

    def process(self, record: Record, *, failure: int | None = None) -> Effect:
        """Check the event and let it take effect. InvalidEvent, or an exception of the database."""
        return self._store.apply(decode(record.value), record, failure=failure)


class Classifier:
    """Which exceptions are worth another try: by the names of their classes, base classes included."""

    def __init__(self, settings: ConsumerServiceSettings) -> None:
        self._retryable = settings.retryable
        self._not_retryable = settings.not_retryable

    def is_retryable(self, error: BaseException) -> bool:
        names = {kind.__name__ for kind in type(error).__mro__}
        return not (names & self._not_retryable) and bool(names & self._retryable)


class Processor:
    """The work on a record with back-off and recovery."""

    def __init__(
        self,
        service: LibraryEventsService,
        recovery: Recovery,
        settings: ConsumerServiceSettings,
        stopping: threading.Event,
        *,
        retry_listener: RetryListener | None = None,
    ) -> None:
        self._service = service
        self._recovery = recovery
        self._settings = settings
        self._stopping = stopping
        self._classify = Classifier(settings).is_retryable
        self._on_retry = retry_listener or tell_attempt

    def handle(self, record: Record) -> str:
        """Returns what became of the record; raises Stopped where nothing did yet."""
        policy = Retrying(
            retry=retry_if_exception(self._classify),
            wait=self._wait(),
            stop=stop_after_attempt(self._settings.backoff_retries + 1) | stop_when_event_set(self._stopping),
            sleep=sleep_using_event(self._stopping),
            before_sleep=lambda state: self._failed(record, state),
            reraise=True,
        )
        try:
            return policy(self._service.process, record).value
        except Exception as error:
            if self._stopping.is_set() and self._classify(error):
                raise Stopped from error
            self._on_retry(record, policy.statistics.get("attempt_number", 1), error, 0.0)
            return self._recover(record, error)

    def _wait(self) -> wait_fixed | wait_exponential:
        settings = self._settings
        if settings.backoff == "fixed":
            return wait_fixed(settings.backoff_interval_s)
        return wait_exponential(
            multiplier=settings.backoff_initial_s,
            exp_base=settings.backoff_multiplier,
            max=settings.backoff_max_s,
        )

    def _failed(self, record: Record, state: RetryCallState) -> None:
        assert state.outcome is not None
        assert state.next_action is not None
        error = state.outcome.exception()
        assert error is not None
        self._on_retry(record, state.attempt_number, error, state.next_action.sleep)

    def _recover(self, record: Record, error: Exception) -> str:
        """Recovery is tried until it succeeds: going on without it would lose the record."""
        retryable = self._classify(error)
        policy = Retrying(
            retry=retry_if_exception(lambda failure: isinstance(failure, Exception)),
            wait=wait_exponential(multiplier=0.2, max=5),
            stop=stop_when_event_set(self._stopping),
            sleep=sleep_using_event(self._stopping),
            reraise=True,
        )
        try:
            return policy(self._recovery.recover, record, error, retryable=retryable)
        except Exception as failure:
            log.exception("stopped before the record was recovered")
            raise Stopped from failure


def tell_attempt(record: Record, attempt: int, error: BaseException, delay_s: float) -> None:
    """The retry listener of this service: each failed attempt is an event line; `delay_s` 0 was the last one."""
    say(
        "attempt_failed",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        event_id=record.event_id,
        attempt=attempt,
        exception=type(error).__name__,
        message=str(error).splitlines()[0] if str(error) else "",
        delay_s=delay_s,
    )
