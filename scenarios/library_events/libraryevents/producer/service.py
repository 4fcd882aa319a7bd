"""What "accepted" means: acknowledged by Kafka, or kept by the recovery before the caller is answered."""

from __future__ import annotations

import logging
import threading
import time

from libraryevents.events import LibraryEvent, record_of
from libraryevents.producer.publisher import Publisher, SendFailed
from libraryevents.producer.recovery import Recovery

log = logging.getLogger(__name__)


class Versions:
    """Numbers that rise with every event, over restarts too: the wall clock in ns, never the same twice."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def next(self) -> int:
        with self._lock:
            self._last = max(self._last + 1, time.time_ns())
            return self._last


class LibraryEventsService:
    """Accepts events. When `accept` returns, the event cannot be lost any more; when it raises, it may be."""

    def __init__(self, topic: str, publisher: Publisher, recovery: Recovery) -> None:
        self._topic = topic
        self._publisher = publisher
        self._recovery = recovery
        self._versions = Versions()

    async def accept(self, event: LibraryEvent, *, event_id: str) -> None:
        """Send; where that fails, keep it for the scheduler. Raises what the recovery raises."""
        record = record_of(event, topic=self._topic, event_id=event_id, version=self._versions.next())
        try:
            await self._publisher.send(record)
        except SendFailed as failure:
            log.warning("send failed, keeping the event", extra={"event_id": event_id, "error": str(failure)})
            await self._recovery.keep(record, failure)
