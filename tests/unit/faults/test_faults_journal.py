"""The heal journal: what a killed harness left is found and undone, and nothing else is touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from kafkaos.errors import BrokenRecording, WrongUse
from kafkaos.faults import HealJournal, heal_leftovers, pending
from kafkaos.faults.journal import identity
from kafkaos.faults.waiting import until


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    yield child
    child.kill()
    child.wait()


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The folder of a run whose harness is gone: its journal is opened by nobody."""
    folder = tmp_path / "run-1"
    folder.mkdir()
    return folder


def _leave(folder: Path, kind: str, **facts: Any) -> Path:
    journal = HealJournal(folder / "heal.jsonl", healer=True)
    journal.record(kind, **facts)
    journal.close()
    return journal.path


def _stopped(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


def _pause(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    assert until(lambda: _stopped(pid) or None, timeout_s=5.0)


def test_a_process_left_paused_goes_on(left: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """Of a killed harness's pause the process is continued, told in words, and not pending any more."""
    _pause(sleeper.pid)
    path = _leave(left, "resume-node", name="broker-1", node=1, **identity(sleeper.pid))
    told, failed = heal_leftovers(left.parent)
    assert (len(told), failed) == (1, [])
    assert f"broker-1 (pid {sleeper.pid}) was paused and goes on" in told[0]
    assert until(lambda: (not _stopped(sleeper.pid)) or None, timeout_s=5.0)
    assert pending(path) == []
    assert heal_leftovers(left.parent) == ([], [])


@pytest.mark.parametrize("kind", ["resume-node", "resume-client", "start-node", "restart-client"])
def test_another_process_with_the_same_pid_is_left_alone(
    left: Path, sleeper: subprocess.Popen[bytes], kind: str
) -> None:
    """A pid alone is no identity: with another start time the process is neither continued nor killed."""
    _pause(sleeper.pid)
    _leave(
        left, kind, name="broker-1", pid=sleeper.pid, started_s=psutil.Process(sleeper.pid).create_time() - 60
    )
    assert "nothing to undo" in heal_leftovers(left)[0][0]
    assert _stopped(sleeper.pid)


def test_a_process_that_was_to_be_killed_and_outlived_its_run_is_killed(
    left: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    """The harness died between journal and kill, and the process is still the same one."""
    _leave(left, "start-node", name="broker-1", node=1, **identity(sleeper.pid))
    assert "was killed" in heal_leftovers(left)[0][0]
    assert sleeper.wait(5) == -signal.SIGKILL


def test_a_run_that_goes_on_heals_itself(left: Path, sleeper: subprocess.Popen[bytes]) -> None:
    """While the harness of a journal lives nothing of it is touched."""
    _pause(sleeper.pid)
    journal = HealJournal(left / "heal.jsonl")
    journal.record("resume-node", name="broker-1", node=1, **identity(sleeper.pid))
    assert "left alone" in heal_leftovers(left)[0][0]
    assert _stopped(sleeper.pid)
    assert len(journal.pending()) == 1
    journal.close()


def test_half_a_line_of_a_killed_harness_is_cut_off(left: Path) -> None:
    """A torn last line is no undo, and what is written after it is read whole."""
    path = _leave(left, "start-node", name="broker-1", node=1)
    path.write_bytes(path.read_bytes() + b'{"undo": 2, "ki')
    assert [undo.number for undo in pending(path)] == [1]
    _leave(left, "start-node", name="broker-2", node=2)
    assert [undo.facts["node"] for undo in pending(path)] == [2, 1]


@pytest.mark.parametrize(
    "line",
    [b"nonsense", b"[]", b'{"undo": 2}', b'{"undo": 2, "kind": "start-node", "facts": 1}', b'{"healed": []}'],
)
def test_a_broken_line_is_told_with_its_place(left: Path, line: bytes) -> None:
    """A journal that cannot be read is an error, never an empty one."""
    path = _leave(left, "start-node", name="broker-1", node=1)
    path.write_bytes(path.read_bytes() + line + b"\n" + json.dumps({"healed": 1}).encode() + b"\n")
    with pytest.raises(BrokenRecording, match="line 2"):
        pending(path)


def test_a_broken_journal_does_not_stop_the_healing_of_others(
    left: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    """Before and after a healthy one, and an undo that fails before another: all else is undone, these are told."""
    _pause(sleeper.pid)
    whole = '{"undo": 1, "kind": "start-node", "facts": {}}'
    for name, text in (("run-0", '{"undo": 1}\n'), ("run-2", f'{{"harness": {{"pid": 1}}}}\n{whole}\n')):
        (left.parent / name).mkdir()
        (left.parent / name / "heal.jsonl").write_text(text)
    _leave(left, "resume-node", name="broker-1", node=1, **identity(sleeper.pid))
    _leave(left, "start-node", node=2)  # it names nobody, and is the newer one: undone first
    told, failed = heal_leftovers(left.parent)
    assert ["was paused and goes on" in sentence for sentence in told] == [True]
    assert ["run-0" in failed[0], "undo 2 (start-node) failed" in failed[1], "run-2" in failed[2]] == [
        True
    ] * 3
    assert [undo.number for undo in pending(left / "heal.jsonl")] == [2]


def test_an_unknown_kind_of_undo_is_refused_before_anything_acts(left: Path) -> None:
    """What nobody could undo is not written down as if one could."""
    journal = HealJournal(left / "heal.jsonl")
    with pytest.raises(WrongUse, match="did you mean `start-node`"):
        journal.record("start-nod", node=1)
    journal.close()
