"""Waiting until every consumer group that commits has nothing left to read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from kafkaos.errors import WaitExpired

LOOK_EVERY_S: Final = 0.05
REQUEST_TIMEOUT_S: Final = 10.0


def wait_caught_up(groups: Mapping[str, set[str]], config: Mapping[str, str], *, timeout_s: float) -> None:
    """Wait until each group has committed the end of every partition of its topics. WaitExpired tells the lag."""
    deadline_s = time.monotonic() + timeout_s
    for group, topics in groups.items():
        # A consumer that joins no group, not an admin client: librdkafka's crashes (SIGSEGV) when the answer to its
        # question for a group's offsets is NOT_COORDINATOR, which is what a killed coordinator leads to.
        own: dict[str, Any] = {
            "group.id": group,
            "enable.auto.commit": False,
            "isolation.level": "read_uncommitted",  # a committed reader is told the last stable offset as the end
            "log_level": 0,
        }
        with closing(Consumer({**config, **own})) as consumer:
            while lag := _lag(consumer, topics):
                if time.monotonic() > deadline_s:
                    raise WaitExpired(
                        f"group {group} did not catch up within {timeout_s:g} s; left to read: {lag}"
                    )
                time.sleep(LOOK_EVERY_S)


def _lag(consumer: Consumer, topics: set[str]) -> dict[str, int]:
    """Records between the committed offset and the end, where there are any."""
    try:
        known = consumer.list_topics(timeout=REQUEST_TIMEOUT_S).topics
        places = [TopicPartition(topic, p) for topic in sorted(topics) for p in known[topic].partitions]
        lags = {}
        for place in consumer.committed(places, timeout=REQUEST_TIMEOUT_S):
            if place.error is not None:
                raise KafkaException(place.error)
            found = consumer.get_watermark_offsets(place, timeout=REQUEST_TIMEOUT_S)
            if found is None:
                return {f"not known (no leader told the end of {place.topic}-{place.partition})": -1}
            lags[f"{place.topic}-{place.partition}"] = found[1] - max(place.offset, found[0])
    except (KafkaException, KeyError) as error:
        # A coordinator that moves, a leader not yet known: neither caught up nor behind; the deadline decides.
        return {f"not known ({error})": -1}
    return {place: lag for place, lag in lags.items() if lag > 0}
