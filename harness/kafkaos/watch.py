"""Watches a cluster during a run: leaders, in-sync replicas and epochs, noted in the recording whenever they change.

Only what a run's story needs: checks judge the clients' rows, never these snapshots.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence

from kafkaos.cluster import Cluster, ClusterState
from kafkaos.errors import KafkaosError
from kafkaos.history.events import EventLog

INTERVAL_S = 0.5


class Watch:
    """A thread that asks the brokers every `INTERVAL_S` seconds; `look` asks at once, from any thread."""

    def __init__(self, cluster: Cluster, events: EventLog, topics: Callable[[], Sequence[str]]) -> None:
        self._cluster = cluster
        self._events = events
        self._topics = topics
        self._last: ClusterState | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="kafkaos-watch", daemon=True)
        self._thread.start()

    def _go_on(self) -> None:
        while not self._over.wait(INTERVAL_S):
            self.look()

    def look(self) -> None:
        """Note the state if it is another than the last noted; a cluster that does not answer is left out."""
        topics = list(self._topics())
        if not topics:
            return
        with self._lock, contextlib.suppress(KafkaosError, OSError):
            state = self._cluster.observe(topics)
            if state != self._last:  # also that nobody answers any more
                self._events.append("state", "observed", state=state.to_json())
                self._last = state

    def close(self) -> None:
        """End the thread; the last question is awaited, so that nothing asks a cluster that is being ended."""
        self._over.set()
        self._thread.join()
