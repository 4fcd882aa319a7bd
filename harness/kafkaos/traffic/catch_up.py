"""Waiting until every consumer group that commits has nothing left to read."""

from __future__ import annotations

import time
from collections.abc import Mapping

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from kafkaos.errors import WaitExpired

LOOK_EVERY_S = 0.05
REQUEST_TIMEOUT_S = 10.0


def wait_caught_up(groups: Mapping[str, set[str]], config: dict[str, str], *, timeout_s: float) -> None:
    """Wait until each group has committed the end of every partition of its topics. WaitExpired tells the lag."""
    if not groups:
        return
    admin = AdminClient({**config, "log_level": 0})
    deadline = time.monotonic() + timeout_s
    for group, topics in groups.items():
        while lag := _lag(admin, group, topics):
            if time.monotonic() > deadline:
                raise WaitExpired(
                    f"group {group} did not catch up within {timeout_s:g} s; left to read: {lag}"
                )
            time.sleep(LOOK_EVERY_S)


def _lag(admin: AdminClient, group: str, topics: set[str]) -> dict[str, int]:
    """Records between the committed offset and the end, where there are any."""
    try:
        latest: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        metadata = admin.list_topics(timeout=REQUEST_TIMEOUT_S).topics
        partitions = [TopicPartition(t, p) for t in sorted(topics) for p in metadata[t].partitions]
        ends = admin.list_offsets(dict.fromkeys(partitions, latest), request_timeout=REQUEST_TIMEOUT_S)
        request = [ConsumerGroupTopicPartitions(group, partitions)]
        stored = admin.list_consumer_group_offsets(request, request_timeout=REQUEST_TIMEOUT_S)[group].result()
        committed = {(p.topic, p.partition): max(p.offset, 0) for p in stored.topic_partitions}
        lags = {
            f"{p.topic}-{p.partition}": future.result().offset - committed.get((p.topic, p.partition), 0)
            for p, future in ends.items()
        }
    except (KafkaException, KeyError) as error:
        # A coordinator that moves, a leader not yet known: neither caught up nor behind; the deadline decides.
        return {f"not known ({error})": -1}
    return {place: lag for place, lag in lags.items() if lag > 0}
