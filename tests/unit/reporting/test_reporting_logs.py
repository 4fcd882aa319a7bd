"""What of the brokers' logs a report shows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kafkaos.reporting.logs import cut


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine is nine hours ahead of UTC."""
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_east")
def test_lines_are_chosen_by_the_zone_that_they_tell(tmp_path: Path) -> None:
    """A container has another zone than its host, and so may the machine that makes the report."""
    log = tmp_path / "broker-1.log"
    log.write_text(
        "[1970-01-01 00:00:09,000Z] INFO before\n"
        "[1970-01-01 00:00:10,500Z] INFO within\nat its next line\n"
        "[1970-01-01 09:00:10,600] INFO of Kafka 3, in the machine's own time\n"
        "[1970-01-01 09:00:10,500Z] INFO long after\n"
        "[1970-01-01 00:00:1x,500Z] INFO no time at all\n"
    )
    told = cut(log, [(10.0, 11.0)])
    assert "INFO within\nat its next line\n" in told
    assert "of Kafka 3" in told
    assert "before" not in told
    assert "after" not in told
