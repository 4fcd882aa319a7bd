"""The page of our own and the command that writes it."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest

from kafkaos.cli import execute
from kafkaos.reporting import results
from kafkaos.reporting.results import Result


def test_the_page_of_a_run_tells_verdict_witness_command_and_log(run_folder: Path) -> None:
    """One file that loads nothing: the sentence, the lost record, the command, the log around the fault."""
    assert execute(["report", str(run_folder), "--html"]) == 0
    page = (run_folder / "report" / "kafkaos.html").read_text()
    assert "1 of 50 acknowledged records is lost." in page
    (code,) = re.findall(r'class="command"><code>(.*?)</code>', page)
    meta = json.loads((run_folder / "recording.json").read_text())
    assert unescape(code) == meta["settings"]["reproduce"]
    assert "orders-0 at offset 7 &lt;script&gt;" in page
    assert "INFO at 1.31" in page
    assert "INFO at 9.0" not in page
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page)


def test_no_secret_and_no_foreign_markup_reaches_the_page(run_folder: Path) -> None:
    """Passwords of settings and of logs are blotted out; a witness cannot bring a script."""
    assert execute(["report", str(run_folder), "--html"]) == 0
    page = (run_folder / "report" / "kafkaos.html").read_text()
    assert "hunter2" not in page
    assert "(hidden)" in page
    assert "<script>alert(1)" not in page


def test_the_last_run_is_told_and_the_others_are_its_history(tmp_path: Path) -> None:
    """A scenario that held yesterday and broke today shows both, the newest as its verdict."""
    for day, outcome in (("monday", "held"), ("tuesday", "broke")):
        made = Result(
            test="t.py::test_a[single]", outcome=outcome, sentence=day, seed=1, reproduce="pytest x"
        )
        results.append(tmp_path / day, made)
    assert execute(["report", str(tmp_path / "monday"), str(tmp_path / "tuesday"), "--html"]) == 0
    page = (tmp_path / "tuesday" / "report" / "kafkaos.html").read_text()
    assert re.findall(r'<i class="(\w+)"', page) == ["held", "broke"]
    assert '<tr data-outcome="broke">' in page
    assert "monday" not in page


def test_the_gate_ends_with_1_where_something_did_not_hold(tmp_path: Path) -> None:
    """CI can stop at a broken scenario; without the option a report is only told."""
    results.append(
        tmp_path, Result(test="t.py::test_a", outcome="unknown", sentence="", seed=1, reproduce="")
    )
    assert execute(["report", str(tmp_path), "--html"]) == 0
    assert execute(["report", str(tmp_path), "--html", "--gate"]) == 1


def test_of_a_repeated_test_the_last_result_counts(tmp_path: Path) -> None:
    """A resumed session replaces what it ran again; half a line of a killed writer is left out."""
    for outcome in ("error", "held"):
        results.append(tmp_path, Result(test="a", outcome=outcome, sentence="", seed=1, reproduce=""))
    with (tmp_path / results.RESULTS_FILE).open("a") as file:
        file.write('{"test": "b", "outc')
    assert [r.outcome for r in results.read(tmp_path)] == ["held"]


def test_a_session_goes_on_behind_half_a_line(tmp_path: Path) -> None:
    """Killed, or out of room, while it wrote: the lines of the resumed session are whole."""
    (tmp_path / results.RESULTS_FILE).write_text('{"test": "b", "outc')
    for test in ("a", "b"):
        results.append(tmp_path, Result(test=test, outcome="held", sentence="", seed=1, reproduce=""))
    assert [r.test for r in results.read(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize("separator", ["\u2028", "\x85"])
def test_a_sentence_may_have_separators_of_unicode(tmp_path: Path, separator: str) -> None:
    """They end a line for Python's splitlines, and not for JSON; what applications write may have any."""
    sentence = f"one{separator}two"
    results.append(tmp_path, Result(test="a", outcome="held", sentence=sentence, seed=1, reproduce=""))
    assert [r.sentence for r in results.read(tmp_path)] == [sentence]


def test_what_is_no_run_is_told_in_one_sentence(tmp_path: Path, capsys) -> None:
    """A wrong folder, an empty one and a broken line: wrong use is 64, a broken file 2."""
    assert execute(["report", str(tmp_path / "nowhere")]) == 64
    assert execute(["report", str(tmp_path)]) == 64
    (tmp_path / results.RESULTS_FILE).write_text(json.dumps([]) + "\n")
    assert execute(["report", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "There is no run at" in said
    assert "is broken in line 1" in said
