"""Ids, and what a tool of Kafka's is quoted with."""

from __future__ import annotations

import uuid

import pytest

from kafkaos.backends import kraft


def test_an_id_is_never_taken_for_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """One in 64 random ids begins with a dash; `kafka-storage format -t -AA…` then misses its argument."""
    drawn = iter([uuid.UUID(bytes=b"\xf8" + bytes(15)), uuid.UUID(bytes=bytes(16))])
    monkeypatch.setattr(uuid, "uuid4", lambda: next(drawn))
    assert kraft.new_cluster_id() == "A" * 22


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "2026-01-01 main ERROR Could not determine local host name\nusage: kafka-storage\n   [-h]\n"
            "kafka-storage: error: argument -t: expected one argument\n",
            "kafka-storage: error: argument -t: expected one argument",
        ),
        (
            "Exception in thread main X: no room\n\tat kafka.A\n\tat kafka.B\n",
            "Exception in thread main X: no room",
        ),
        (" \n", "no word"),
    ],
)
def test_a_tool_is_quoted_with_its_last_word(said: str, told: str) -> None:
    """Not with the remark of its logger that comes first (seen), nor with the frames of a stack."""
    assert kraft.last_word(said) == told
