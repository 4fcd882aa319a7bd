"""The recording consumer as a process: `python -m kafkaos.traffic.consumer SETTINGS.json`.

READ is written when a record is handed to the application, PROCESS when its work is done, in program order
with ASSIGN, REVOKE, SEEK and COMMIT. It goes on over every error that is not fatal.
"""

from __future__ import annotations

import sys
import time
from typing import Final

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from kafkaos.history.recorder import Recorder
from kafkaos.history.rows import FLAG_CORRUPT, NULL, Op
from kafkaos.traffic.commits import Commits, generation
from kafkaos.traffic.deliveries import as_rows, next_offsets, split
from kafkaos.traffic.process import ClientProcess, recorder_of, run_client
from kafkaos.traffic.settings import ConsumerSettings
from kafkaos.traffic.status import Control, State, Word

_POLL_S: Final = 0.01  # consume() waits for a full batch that long: what came is recorded at most so late
_RESERVED_ERRORS: Final = frozenset({KafkaError._PARTITION_EOF})


class RecordingConsumer:
    """One group member, or one reader of fixed partitions."""

    def __init__(self, settings: ConsumerSettings, recorder: Recorder, client: ClientProcess) -> None:
        self._settings = settings
        self._recorder = recorder
        self._client = client
        self._assigned: set[tuple[str, int]] = set()
        self._done: dict[tuple[str, int], int] = {}  # next offsets, processed and not yet committed
        self._committed_s = time.monotonic()
        self._rewound = client.page[Word.REWIND]
        self._commits = Commits(recorder, client, automatic=settings.commit == "auto")
        callbacks = {"error_cb": client.on_error, "on_commit": self._commits.on_commit}
        self._consumer = Consumer(settings.librdkafka() | callbacks)

    def run(self) -> None:
        """Read until told to stop, then commit what was processed and leave the group."""
        client = self._client
        self._begin()
        client.state(State.RUNNING)
        try:
            while client.command is not Control.STOP and client.fatal is None:
                if client.command is Control.PAUSE:  # busy, and so late for its next poll
                    client.state(State.PAUSED)
                    time.sleep(_POLL_S)
                    continue
                client.state(State.RUNNING)
                client.see_mark()
                self._rewind_if_told()
                records, events = split(self._consumer.consume(self._settings.batch_records, _POLL_S))
                for event in events:
                    self._note(event)
                if records:
                    self._take(records)
                self._commit_if_due()
            client.state(State.STOPPING)
        finally:
            self._commit_done(wait=True)
            self._consumer.close()
        client.raise_if_fatal()

    def _begin(self) -> None:
        if self._settings.assignment is None:
            self._consumer.subscribe(
                list(self._settings.topics),
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_lost,
            )
            return
        places = [TopicPartition(*place) for place in self._settings.assignment]
        self._consumer.assign(places)
        self._on_assign(self._consumer, places)

    def _take(self, records: list[Message]) -> None:
        if self._settings.commit == "before":
            rows = as_rows(Op.READ, records, self._recorder, now_ns=time.monotonic_ns())
            self._commits.commit(self._consumer, next_offsets(records, rows), wait=True)
        if self._work_s() > 0 or self._settings.commit == "record":
            for place in range(len(records)):
                if self._client.command is Control.STOP:
                    return  # the rest was never handed to the application
                self._deliver(records[place : place + 1])
            return
        self._deliver(records)

    def _deliver(self, records: list[Message]) -> None:
        """Hand records to the application, do its work, and note both."""
        settings, page = self._settings, self._client.page
        now_ns = time.monotonic_ns()
        rows = as_rows(Op.READ, records, self._recorder, now_ns=now_ns)
        self._recorder.add_block(rows)
        page.add(Word.READ, len(records))
        page.add(Word.MARKED_READ, len(records))
        page.add(Word.CORRUPT, int(np.count_nonzero(rows["flags"] & FLAG_CORRUPT)))
        page[Word.LAST_OK_NS] = now_ns
        work_s = self._work_s()
        if work_s:
            time.sleep(work_s)  # the application's work on one record
        if settings.processes:
            rows["op"] = Op.PROCESS
            rows["completed_ns"] = time.monotonic_ns()
            self._recorder.add_block(rows)
        page.add(Word.PROCESSED, len(records))
        if settings.commit == "batch":
            self._done |= next_offsets(records, rows)
        elif settings.commit == "record":
            self._commits.commit(self._consumer, next_offsets(records, rows), wait=True)

    def _work_s(self) -> float:
        """How long the work on one record takes: as its settings say, and what a fault added."""
        return self._settings.processing_ms / 1_000 + self._client.page[Word.SLOWER_US] / 1_000_000

    def _commit_if_due(self) -> None:
        passed_ms = (time.monotonic() - self._committed_s) * 1_000
        # One at a time. librdkafka sends a commit again when its connection is lost; behind a later one it would set
        # the group back (seen: 2,117, then 1,555). And a broker serves a connection's requests in turn: behind those
        # that pile up while it is slow the heartbeats are late, and the member loses its session (seen: 260 commits).
        if self._done and not self._commits.unanswered and passed_ms >= self._settings.commit_interval_ms:
            self._commit_done(wait=False)
            self._committed_s = time.monotonic()

    def _commit_done(self, *, wait: bool) -> None:
        done, self._done = self._done, {}
        self._commits.commit(self._consumer, done, wait=wait)

    def _rewind_if_told(self) -> None:
        asked = self._client.page[Word.REWIND]
        if asked == self._rewound or not self._assigned:
            return
        self._rewound = asked
        self._done.clear()
        for topic, partition in sorted(self._assigned):
            try:
                self._consumer.seek(TopicPartition(topic, partition, OFFSET_BEGINNING))
            except KafkaException as error:  # not being fetched yet
                self._client.on_error(error.args[0])
            else:
                self._recorder.add(Op.SEEK, topic=topic, partition=partition)

    def _note(self, event: Message) -> None:
        error = event.error()
        if error is not None and error.code() not in _RESERVED_ERRORS:
            self._client.on_error(error)
            if error.code() == KafkaError.NOT_COORDINATOR and self._settings.assignment is None:
                # The coordinator moved while the committed offsets were asked for, and librdkafka does not ask again
                # (its issue 5586): the partitions would never be read, which is no fault of the cluster.
                self._consumer.unsubscribe()
                self._begin()

    def _on_assign(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        now = generation(consumer) if self._settings.assignment is None else NULL
        self._assigned |= {(place.topic, place.partition) for place in places}
        for place in places:
            offset = place.offset if place.offset >= 0 else NULL
            self._recorder.add(
                Op.ASSIGN, topic=place.topic, partition=place.partition, offset=offset, generation=now
            )
        self._rebalanced()

    def _on_revoke(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """Commit what was processed while the partitions are still ours, then give them up."""
        if self._settings.commit == "batch":
            self._commit_done(wait=True)
        self._give_up(consumer, places, error=0)

    def _on_lost(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """They may belong to another member already: committing would be wrong."""
        for place in places:
            self._done.pop((place.topic, place.partition), None)
        self._give_up(consumer, places, error=KafkaError._ASSIGNMENT_LOST)

    def _give_up(self, consumer: Consumer, places: list[TopicPartition], *, error: int) -> None:
        now = generation(consumer)
        self._assigned -= {(place.topic, place.partition) for place in places}
        for place in places:
            self._recorder.add(
                Op.REVOKE, topic=place.topic, partition=place.partition, generation=now, error=error
            )
        self._rebalanced()

    def _rebalanced(self) -> None:
        self._client.page[Word.ASSIGNED] = len(self._assigned)
        self._client.page.add(Word.REBALANCES, 1)


def consume(settings: ConsumerSettings, client: ClientProcess) -> None:
    """Record what a consumer reads until it is told to stop."""
    with recorder_of(settings, "consumer", group=settings.group, isolation=settings.isolation) as recorder:
        RecordingConsumer(settings, recorder, client).run()


def main() -> int:
    """The command."""
    return run_client(ConsumerSettings, consume)


if __name__ == "__main__":
    sys.exit(main())
