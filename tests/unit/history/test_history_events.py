"""Events: each line is whole or the last one, and a dead writer's log goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafkaos.errors import BrokenRecording, WrongUse
from kafkaos.history.events import EventLog, read_events


def test_events_are_read_back_in_order(tmp_path: Path) -> None:
    """Numbers count from 0, times do not fall, details are kept."""
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        log.phase("setup")
        fault = log.inject("kill", target="leader of orders-0", pid=7)
        log.append("state", "leaders", leaders={"orders-0": 2}, isr=[2, 3])
        log.heal("kill", fault=fault)
    events = read_events(path)
    assert [(event.number, event.kind, event.name) for event in events] == [
        (0, "phase", "setup"),
        (1, "inject", "kill"),
        (2, "state", "leaders"),
        (3, "heal", "kill"),
    ]
    assert events[1].details == {"target": "leader of orders-0", "pid": 7}
    assert events[3].details == {"fault": 1}
    assert [event.monotonic_ns for event in events] == sorted(event.monotonic_ns for event in events)
    assert events[0].wall_ns > 1_700_000_000_000_000_000


def test_an_event_is_on_file_when_append_returns(tmp_path: Path) -> None:
    """A reader beside the writer sees it at once."""
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        log.phase("setup")
        assert len(read_events(path)) == 1


def test_half_a_last_line_is_left_out_and_written_over(tmp_path: Path) -> None:
    """A crash cuts the last line; the next writer goes on behind the last whole one."""
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        log.phase("setup")
        log.phase("steady")
    path.write_bytes(path.read_bytes()[:-10])
    assert [event.name for event in read_events(path)] == ["setup"]
    with EventLog(path) as log:
        assert log.phase("traffic") == 1
    assert [event.name for event in read_events(path)] == ["setup", "traffic"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{broken", "line 2"),
        (b"[]", "line 2"),
        (b"{}", "line 2"),
        (b"", "line 2"),
        (b'{"number":7,"kind":"phase","name":"x","monotonic_ns":1,"wall_ns":1}', "lacks event 1"),
        (b'{"number":1,"kind":"phase","name":"x","monotonic_ns":"1","wall_ns":1}', "line 2"),
    ],
)
def test_a_broken_line_in_the_middle_is_told(tmp_path: Path, line: bytes, said: str) -> None:
    """Only the last line may be half: any other damage is a broken recording."""
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        for name in ("setup", "steady", "traffic"):
            log.phase(name)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], line, *lines[2:]]))
    with pytest.raises(BrokenRecording, match=said):
        read_events(path)


def test_a_detail_cannot_hide_a_field(tmp_path: Path) -> None:
    """An event's number and times are the log's own."""
    with EventLog(tmp_path / "events.jsonl") as log, pytest.raises(WrongUse, match="wall_ns"):
        log.phase("setup", wall_ns=3)


def test_an_empty_file_has_no_events(tmp_path: Path) -> None:
    """A harness that died before its first event left an empty file."""
    path = tmp_path / "events.jsonl"
    path.touch()
    assert read_events(path) == []
