"""Waiting until every consumer group that commits has nothing left to read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from kafkaos.errors import WaitExpired
from kafkaos.history.recorder import Isolation
from kafkaos.traffic.settings import END_WAIT_MS

LOOK_EVERY_S: Final = 0.05
REQUEST_TIMEOUT_S: Final = 10.0

Gaps = dict[tuple[str, int], tuple[int, int]]
"""Of each partition with something behind the committed offset: that offset, and the end."""


@dataclass
class Reading:
    """What a group is to read to the end, and at which isolation level."""

    topics: set[str] = field(default_factory=set)
    isolation: Isolation = "committed"


def wait_caught_up(groups: Mapping[str, Reading], config: Mapping[str, str], *, timeout_s: float) -> None:
    """Wait until no record is left between what each group has committed and the end. WaitExpired tells the lag.

    The committed offset need not reach the end: librdkafka commits what is behind the last record that it handed
    out, and a log may end with transaction markers and records of aborted transactions.
    """
    deadline_s = time.monotonic() + timeout_s
    for group, reading in groups.items():
        # A consumer that joins no group, not an admin client: librdkafka's crashes (SIGSEGV) when the answer to its
        # question for a group's offsets is NOT_COORDINATOR, which is what a killed coordinator leads to.
        own: dict[str, Any] = {
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "log_level": 0,
        }
        # A committed reader is told the last stable offset as the end.
        asking = {"isolation.level": "read_uncommitted"}
        probing = {
            "isolation.level": f"read_{reading.isolation}",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": END_WAIT_MS,
        }
        with (
            closing(Consumer({**config, **own, **asking})) as asker,
            closing(Consumer({**config, **own, **probing})) as prober,
        ):
            if lag := _lag_left(reading.topics, asker, prober, deadline_s):
                raise WaitExpired(
                    f"group {group} did not catch up within {timeout_s:g} s; left to read: {lag}"
                )


def _lag_left(topics: set[str], asker: Consumer, prober: Consumer, deadline_s: float) -> dict[str, int]:
    """Wait until nothing is left to read; what is at the deadline."""
    before: Gaps = {}
    while True:
        try:
            gaps = _gaps(asker, topics)
            # A group that goes on committing has work left: only one that stands still is looked at more closely.
            if not gaps or (gaps == before and _are_empty(gaps, prober)):
                return {}
            before = gaps
            lag = {f"{topic}-{p}": end - position for (topic, p), (position, end) in gaps.items()}
        except (KafkaException, LookupError) as error:
            # A coordinator that moves, a leader not yet known: neither caught up nor behind; the deadline decides.
            lag = {f"not known ({error})": -1}
        if time.monotonic() > deadline_s:
            return lag
        time.sleep(LOOK_EVERY_S)


def _gaps(asker: Consumer, topics: set[str]) -> Gaps:
    """Where the group has not committed the end. KafkaException or LookupError where nobody can tell."""
    known = asker.list_topics(timeout=REQUEST_TIMEOUT_S).topics
    places = [TopicPartition(topic, p) for topic in sorted(topics) for p in known[topic].partitions]
    gaps: Gaps = {}
    for place in asker.committed(places, timeout=REQUEST_TIMEOUT_S):
        if place.error is not None:
            raise KafkaException(place.error)
        found = asker.get_watermark_offsets(place, timeout=REQUEST_TIMEOUT_S)
        if found is None:
            raise LookupError(f"no leader told the end of {place.topic}-{place.partition}")
        low, end = found
        if (position := max(place.offset, low)) < end:
            gaps[place.topic, place.partition] = (position, end)
    return gaps


def _are_empty(gaps: Gaps, prober: Consumer) -> bool:
    """Whether a reader that begins where the group has come to gets to the ends without a record."""
    left = set(gaps)
    prober.assign([TopicPartition(*place, position) for place, (position, _) in gaps.items()])
    deadline_s = time.monotonic() + REQUEST_TIMEOUT_S
    while left and time.monotonic() < deadline_s:
        message = prober.poll(LOOK_EVERY_S)
        if message is None:
            continue
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            continue
        place = (str(message.topic()), int(message.partition() or 0))
        # A committed reader's end before the log's is a transaction that nobody has ended: its records may still come.
        if int(message.offset() or 0) < gaps[place][1]:
            return False
        left.discard(place)
    return not left
