"""The final truth, what lies in the log once all is healed: `python -m kafkaos.traffic.final SETTINGS.json`.

Each partition is read from its start to its high watermark, first uncommitted, then committed, with no group.
LOG_END is the high watermark at both levels: where a transaction hangs, a committed reader stops at the last
stable offset, and REACHED < LOG_END says so. So does a deadline that passed, and LOG_END without an offset
says that not even the high watermark could be learned.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from kafkaos.history.recorder import Isolation, Recorder
from kafkaos.history.rows import FLAG_COMMITTED, NULL, Op, Outcome
from kafkaos.traffic.deliveries import as_rows, next_offsets, split
from kafkaos.traffic.process import ClientProcess, recorder_of, run_client
from kafkaos.traffic.settings import FinalSettings
from kafkaos.traffic.status import State, Word

_BATCH_RECORDS: Final = 10_000
_POLL_S: Final = 0.05
_REQUEST_S: Final = 2.0

Place = tuple[str, int]


@dataclass(frozen=True)
class Bounds:
    """First offset and high watermark of each partition; no entry where no leader told them in time."""

    partitions: tuple[Place, ...]
    known: dict[Place, tuple[int, int]] = field(default_factory=dict)


def read_final(settings: FinalSettings, client: ClientProcess) -> None:
    """Write the final truth of all topics within the deadline; what was not reached is told by the rows."""
    deadline_s = time.monotonic() + settings.deadline_s
    with recorder_of(settings, "final") as recorder:
        client.state(State.RUNNING)
        bounds: Bounds | None = None
        levels: tuple[Isolation, ...] = ("uncommitted", "committed")
        for isolation in levels:
            consumer = Consumer(settings.librdkafka(isolation) | {"error_cb": client.on_error})
            try:
                if bounds is None:  # an uncommitted reader: a committed one is told the last stable offset
                    bounds = _learn_bounds(settings.topics, consumer, client, deadline_s=deadline_s)
                flag = FLAG_COMMITTED if isolation == "committed" else 0
                _Reading(bounds, consumer, recorder, client, flag=flag).run(deadline_s=deadline_s)
            finally:
                consumer.close()


class _Reading:
    """One pass over all partitions at one isolation level."""

    def __init__(
        self, bounds: Bounds, consumer: Consumer, recorder: Recorder, client: ClientProcess, *, flag: int
    ) -> None:
        self._bounds = bounds
        self._consumer = consumer
        self._recorder = recorder
        self._client = client
        self._flag = flag
        self._reached = {place: start for place, (start, _) in bounds.known.items()}

    def run(self, *, deadline_s: float) -> None:
        """Read until every known end is reached or the deadline is over, then write the four kinds of row."""
        self._consumer.assign(
            [
                TopicPartition(*place, self._reached[place])
                for place in self._bounds.known
                if self._open(place)
            ]
        )
        while any(map(self._open, self._bounds.known)) and time.monotonic() < deadline_s:
            records, events = split(self._consumer.consume(_BATCH_RECORDS, _POLL_S))
            if records:
                self._take(records)
            for event in events:
                self._heed(event)
            self._client.raise_if_fatal()
        self._write_bounds()

    def _open(self, place: Place) -> bool:
        return self._reached[place] < self._bounds.known[place][1]

    def _take(self, records: list[Message]) -> None:
        rows = as_rows(Op.FINAL, records, self._recorder, now_ns=time.monotonic_ns())
        rows["flags"] |= self._flag
        self._recorder.add_block(rows)
        self._client.page.add(Word.READ, len(records))
        self._reached |= next_offsets(records, rows)

    def _heed(self, event: Message) -> None:
        """The end of a partition tells the position behind markers and aborted records."""
        error = event.error()
        if error is None or error.code() != KafkaError._PARTITION_EOF:
            if error is not None:
                self._client.on_error(error)
            return
        place = (str(event.topic()), int(event.partition() or 0))
        self._reached[place] = max(self._reached[place], int(event.offset() or 0))

    def _write_bounds(self) -> None:
        for topic, partition in self._bounds.partitions:
            place = (topic, partition)
            known = self._bounds.known.get(place)
            start, end = known or (NULL, NULL)
            reached = self._reached.get(place, NULL)
            outcome = Outcome.INFO if known is None else Outcome.OK
            for op, offset in ((Op.LOG_START, start), (Op.LOG_END, end), (Op.REACHED, reached)):
                self._recorder.add(
                    op, topic=topic, partition=partition, offset=offset, outcome=outcome, flags=self._flag
                )


def _learn_bounds(
    topics: tuple[str, ...], consumer: Consumer, client: ClientProcess, *, deadline_s: float
) -> Bounds:
    """Ask each leader for its partition's watermarks, again and again until the deadline."""
    partitions: list[Place] = []
    for topic in topics:
        numbers = _partitions(topic, consumer, client, deadline_s=deadline_s)
        partitions += [(topic, number) for number in numbers]
    known: dict[Place, tuple[int, int]] = {}
    missing = partitions
    while missing and time.monotonic() < deadline_s:
        for place in missing:
            try:
                found = consumer.get_watermark_offsets(TopicPartition(*place), timeout=_REQUEST_S)
            except KafkaException as error:
                client.on_error(error.args[0])
                consumer.poll(_POLL_S)
                continue
            if found is not None:
                known[place] = found
        missing = [place for place in partitions if place not in known]
    return Bounds(tuple(partitions), known)


def _partitions(topic: str, consumer: Consumer, client: ClientProcess, *, deadline_s: float) -> list[int]:
    """The partitions of a topic; one (0) whose bounds stay unknown if the cluster does not answer in time."""
    while time.monotonic() < deadline_s:
        try:
            found = consumer.list_topics(topic, timeout=_REQUEST_S).topics[topic]
        except KafkaException as error:
            client.on_error(error.args[0])
            consumer.poll(_POLL_S)
            continue
        if found.error is None and found.partitions:
            return sorted(found.partitions)
        if found.error is not None:
            client.on_error(found.error)
        consumer.poll(_POLL_S)
    return [0]


def main() -> int:
    """The command."""
    return run_client(FinalSettings, read_final)


if __name__ == "__main__":
    sys.exit(main())
