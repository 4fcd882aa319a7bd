"""Readiness, told by a client whose brokers are made up."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from kafkaos.backends import ready
from kafkaos.errors import SetupFailed

ADDRESSES = {1: "127.0.0.1:1", 2: "127.0.0.1:2"}


class MadeUpProducer:
    """Acknowledges at once; the partition is led by one after the other of `leaders`."""

    def __init__(self, leaders: list[int]) -> None:
        self._leaders = leaders
        self._delivered: list[Callable[[Any, Any], None]] = []
        self.value = b""

    def list_topics(self, topic: str | None = None, *, timeout: float) -> Any:
        assert timeout > 0
        if topic is None:
            return SimpleNamespace(brokers=ADDRESSES)
        leader = self._leaders.pop(0) if len(self._leaders) > 1 else self._leaders[0]
        return SimpleNamespace(
            topics={topic: SimpleNamespace(partitions={0: SimpleNamespace(leader=leader)})}
        )

    def produce(self, _topic: str, value: bytes, *, on_delivery: Callable[[Any, Any], None]) -> None:
        self.value = value
        self._delivered.append(on_delivery)

    def poll(self, _timeout_s: float) -> None:
        for delivered in self._delivered:
            delivered(None, None)


@pytest.mark.parametrize("before", [-1, 1])
def test_a_leader_that_goes_once_more_is_waited_for(before: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a broker loses its session between the acknowledgement and the reading."""
    producer = MadeUpProducer([before, 2])
    asked: list[str] = []

    def values(address: str, *_: Any, **__: Any) -> list[bytes]:
        asked.append(address)
        return [producer.value] if address == ADDRESSES[2] else []

    monkeypatch.setattr(ready, "Producer", lambda _: producer)
    monkeypatch.setattr(ready, "listens", lambda *_, **__: True)
    monkeypatch.setattr(ready, "create_topic", lambda *_, **__: 0)
    monkeypatch.setattr(ready, "first_values", values)
    monkeypatch.setattr(ready, "find_coordinator", lambda address, *_, **__: asked.append(address))
    ready.round_trip({"bootstrap.servers": "made up"}, addresses=ADDRESSES, tls=None, timeout_s=0.5)
    assert asked == [*([ADDRESSES[1]] if before == 1 else []), ADDRESSES[2], ADDRESSES[2]]


def test_a_question_that_is_never_answered_costs_one_look_and_not_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One start in some hundred behind Docker's port proxy stood still for 90 s, its broker idle and well."""
    producer = MadeUpProducer([1])
    limits_s: list[float] = []

    def created(address: str, *_: Any, timeout_s: float, **__: Any) -> int:
        limits_s.append(timeout_s)
        if len(limits_s) == 1:
            raise TimeoutError("timed out")
        return 0

    monkeypatch.setattr(ready, "Producer", lambda _: producer)
    monkeypatch.setattr(ready, "listens", lambda *_, **__: True)
    monkeypatch.setattr(ready, "create_topic", created)
    monkeypatch.setattr(ready, "first_values", lambda *_, **__: [producer.value])
    monkeypatch.setattr(ready, "find_coordinator", lambda *_, **__: 1)
    ready.round_trip({"bootstrap.servers": "made up"}, addresses=ADDRESSES, tls=None, timeout_s=90)
    assert max(limits_s) <= ready.LOOK_S < 90


def test_who_is_not_ready_is_told_by_what_it_did_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence that only names a deadline leaves the reader with the logs of every broker."""

    def silent(*_: Any, **__: Any) -> int:
        raise TimeoutError("timed out")

    monkeypatch.setattr(ready, "Producer", lambda _: MadeUpProducer([1]))
    monkeypatch.setattr(ready, "listens", lambda *_, **__: True)
    monkeypatch.setattr(ready, "create_topic", silent)
    with pytest.raises(
        SetupFailed, match=r"made up were not ready within 0\.1 s: none made the topic .*timed out"
    ):
        ready.round_trip({"bootstrap.servers": "made up"}, addresses=ADDRESSES, tls=None, timeout_s=0.1)


def test_what_is_nearly_there_is_looked_for_sooner_than_what_takes_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pauses grow from the shortest to the one that was asked for, and no further."""
    pauses: list[float] = []
    monkeypatch.setattr(ready.time, "sleep", pauses.append)
    looks = iter([False] * 5 + [True])
    ready.wait_until(lambda: next(looks), interval_s=0.1, timeout_s=60, what="it is there")
    assert pauses == [0.02, 0.04, 0.08, 0.1, 0.1]
