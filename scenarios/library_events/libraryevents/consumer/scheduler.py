"""Replays failure records through the same service, until each is a SUCCESS or dead."""

from __future__ import annotations

import logging
import threading

from libraryevents.consumer.processing import Classifier, LibraryEventsService
from libraryevents.consumer.recovery import told
from libraryevents.consumer.settings import ConsumerServiceSettings
from libraryevents.consumer.store import LibraryStore
from libraryevents.lines import say

log = logging.getLogger(__name__)
BATCH = 100


class ReplayScheduler(threading.Thread):
    """One round every `scheduler_interval_s`; whatever a round dies of, there is a next one."""

    def __init__(
        self,
        store: LibraryStore,
        service: LibraryEventsService,
        settings: ConsumerServiceSettings,
        stopping: threading.Event,
    ) -> None:
        super().__init__(name="replay-scheduler")
        self._store = store
        self._service = service
        self._interval_s = settings.scheduler_interval_s
        self._is_retryable = Classifier(settings).is_retryable
        self._stopping = stopping

    def run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            try:
                self.round()
            except Exception:
                log.exception("the replay failed; it is tried again")

    def round(self) -> None:
        """Try each record that waits; one that fails does not hold up the others."""
        for number, record in self._store.failures(at_most=BATCH):
            if self._stopping.is_set():
                return
            try:
                effect = self._service.process(record, failure=number)
                say("record_replayed", failure=number, event_id=record.event_id, effect=effect.value)
            except Exception as error:
                if not self._is_retryable(error):
                    self._store.bury(number, exception=told(error))
                log.warning("replay failed", extra={"failure": number, "error": told(error)})
