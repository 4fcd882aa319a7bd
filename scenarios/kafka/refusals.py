"""Whether a client with certain security settings is served or refused, and for which reason."""

from __future__ import annotations

import re
import time
from typing import Any

from confluent_kafka import Producer

WAIT_S = 30


def assert_served(cluster: Any, security: dict[str, str]) -> None:
    """A client with these settings learns of all brokers."""
    client = Producer({"bootstrap.servers": cluster.bootstrap, **security, "log_level": 0})
    assert sorted(client.list_topics(timeout=WAIT_S).brokers) == [node.id for node in cluster.brokers]


def assert_refused(cluster: Any, security: dict[str, str], reason: str) -> None:
    """A client with these settings gets an error that matches `reason`."""
    seen = _errors(cluster, security, until=reason)
    assert any(re.search(reason, text) for text in seen), seen


def _errors(cluster: Any, security: dict[str, str], *, until: str) -> list[str]:
    """The errors of a client with these settings, until one matches or the deadline is over."""
    seen: list[str] = []
    client = Producer(
        {
            "bootstrap.servers": cluster.bootstrap,
            **security,
            "log_level": 0,
            "error_cb": lambda error: seen.append(f"{error.name()}: {error.str()}"),
        }
    )
    deadline_s = time.monotonic() + WAIT_S
    while not any(re.search(until, text) for text in seen) and time.monotonic() < deadline_s:
        client.poll(0.05)
    return seen
