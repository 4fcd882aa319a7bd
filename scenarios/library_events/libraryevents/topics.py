"""Makes a service's topics through the admin client, however long the cluster takes to be there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic
from tenacity import (
    Retrying,
    before_sleep_log,
    retry_if_exception,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential,
)

from libraryevents.lines import say

log = logging.getLogger(__name__)

# No later try is better: the service says so and ends.
_HOPELESS = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_PARTITIONS,
        KafkaError.TOPIC_EXCEPTION,
    }
)


def make_topics(
    config: dict[str, Any],
    names: Sequence[str],
    *,
    partitions: int,
    replicas: int,
    stopping: threading.Event,
) -> None:
    """Create those that are missing; tries until the cluster answers, or until `stopping` is set."""
    policy = Retrying(
        retry=retry_if_exception(_may_pass),
        wait=wait_exponential(multiplier=0.5, max=10),
        stop=stop_when_event_set(stopping),
        sleep=sleep_using_event(stopping),
        before_sleep=before_sleep_log(log, logging.WARNING),
        reraise=True,
    )
    admin = AdminClient({**config, "client.id": "library-events-admin"}, logger=log)
    for name in names:
        policy(_make, admin, NewTopic(name, num_partitions=partitions, replication_factor=replicas))
        say("topic_ready", topic=name)


def _make(admin: AdminClient, topic: NewTopic) -> None:
    asked = admin.create_topics([topic], operation_timeout=5, request_timeout=5)
    try:
        asked[topic.topic].result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() not in _HOPELESS
