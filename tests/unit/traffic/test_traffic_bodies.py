"""Reading whole records of a topic, from the mock cluster that librdkafka carries in the client: no broker runs."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import Consumer

from kafkaos.errors import WaitExpired
from kafkaos.traffic import bodies

MOCK = {"test.mock.num.brokers": "1", "allow.auto.create.topics": "true"}


def never_told(first: int) -> type[Consumer]:
    """A consumer whose first answers about the ends are the client's None, which says that the time was over."""
    left = [first]

    class Late(Consumer):
        def get_watermark_offsets(self, *given: Any, **named: Any) -> Any:
            left[0] -= 1
            return None if left[0] >= 0 else super().get_watermark_offsets(*given, **named)

    return Late


def test_ends_that_are_told_late_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's None is a time that is over, not an end: the question is put again until it is answered."""
    monkeypatch.setattr(bodies, "Consumer", never_told(first=2))
    assert bodies.read_bodies("orders", MOCK, isolation="read_committed", timeout_s=60) == []


def test_ends_that_nobody_tells_end_the_wait_with_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the deadline the partition is named, in one sentence."""
    monkeypatch.setattr(bodies, "Consumer", never_told(first=10**9))
    with pytest.raises(WaitExpired, match="nobody told the ends of orders in time: no answer for orders-0"):
        bodies.read_bodies("orders", MOCK, isolation="read_committed", timeout_s=0.2)
