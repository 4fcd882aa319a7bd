"""The status page is one truth for two processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafkaos.errors import BrokenRecording
from kafkaos.traffic.process import ClientProcess
from kafkaos.traffic.status import ERROR_LINES_MAX, Control, State, StatusPage, Word


@pytest.fixture
def two(tmp_path: Path) -> tuple[StatusPage, StatusPage]:
    """The same page, mapped twice."""
    return StatusPage(tmp_path / "c.status"), StatusPage(tmp_path / "c.status")


def test_what_one_side_writes_the_other_sees(two: tuple[StatusPage, StatusPage]) -> None:
    """Counters and control words need no flush and no pipe."""
    ours, theirs = two
    theirs.add(Word.ACKNOWLEDGED, 5)
    theirs[Word.STATE] = State.RUNNING
    ours[Word.CONTROL] = Control.DRAIN
    assert ours.counters().acknowledged == 5
    assert ours.counters().state is State.RUNNING
    assert ClientProcess(theirs).command is Control.DRAIN


def test_each_counter_is_its_own_word(tmp_path: Path) -> None:
    """No counter reads another's word."""
    page = StatusPage(tmp_path / "c.status")
    names = [name for name in page.counters()._fields if name != "state"]
    for number, name in enumerate(names, start=10):
        page[Word[name.upper()]] = number
    assert [getattr(page.counters(), name) for name in names] == list(range(10, 10 + len(names)))


def test_a_foreign_file_is_no_page(tmp_path: Path) -> None:
    """A file that something else wrote is refused by name."""
    (tmp_path / "c.status").write_bytes(b"x" * 4096)
    with pytest.raises(BrokenRecording, match=r"c\.status"):
        StatusPage(tmp_path / "c.status")


def test_the_last_error_is_told_in_words(two: tuple[StatusPage, StatusPage]) -> None:
    """Code and text reach the other side, on one line each."""
    ours, theirs = two
    assert ours.last_error_text() == ""
    theirs.note_error(-195, "broker\ntransport failure")
    theirs.note_error(7, "timed out")
    assert ours.last_error_text() == "7 timed out"
    assert (ours[Word.LAST_ERROR], ours[Word.ERRORS]) == (7, 2)
    assert "-195 broker transport failure" in ours.errors_path.read_text()


def test_errors_without_end_do_not_fill_the_disk(two: tuple[StatusPage, StatusPage]) -> None:
    """Repeated errors are counted, not written; different ones up to a limit."""
    _, theirs = two
    for number in range(ERROR_LINES_MAX + 50):
        theirs.note_error(1, f"error {number}")
        theirs.note_error(1, f"error {number}")
    assert theirs[Word.ERRORS] == 2 * (ERROR_LINES_MAX + 50)
    assert len(theirs.errors_path.read_text().splitlines()) == ERROR_LINES_MAX


def test_a_new_mark_starts_the_count_again(two: tuple[StatusPage, StatusPage]) -> None:
    """The client sees a mark once and then counts from 0."""
    ours, theirs = two
    client = ClientProcess(theirs)
    theirs.add(Word.MARKED_ACKNOWLEDGED, 3)
    ours[Word.MARK] = 1
    assert client.see_mark()
    assert not client.see_mark()
    assert (ours[Word.MARK_SEEN], ours[Word.MARKED_ACKNOWLEDGED]) == (1, 0)
