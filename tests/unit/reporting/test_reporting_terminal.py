"""What the terminal makes of reports that are not of a scenario."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path

import pytest

from kafkaos.reporting.results import BROKE, HELD, Result
from kafkaos.reporting.table import Totals
from kafkaos.reporting.terminal import TOLD_EACH, Terminal


def test_a_file_that_cannot_be_collected_is_told_by_pytest_itself(tmp_path: Path) -> None:
    """The report of a collection has no verdict: it is left to pytest, which tells the error of the file."""
    broken = pytest.CollectReport("test_broken.py", "failed", "SyntaxError", [])
    assert Terminal(tmp_path).pytest_report_teststatus(broken) is None


class Written:
    """As much of pytest's terminal as the summary writes to."""

    def __init__(self) -> None:
        self._file = io.StringIO()
        self.fullwidth = 120
        self._tw = self

    def section(self, title: str) -> None:
        self._file.write(f"= {title}\n")

    def write(self, text: str, **_markup: bool) -> None:
        self._file.write(text)

    def write_line(self, line: str) -> None:
        self._file.write(line + "\n")


@pytest.mark.parametrize("many", [TOLD_EACH, TOLD_EACH + 1])
def test_of_many_scenarios_those_are_told_that_did_not_hold(tmp_path: Path, many: int) -> None:
    """A few are told one by one; in a run of hundreds the failure stands alone, the others are counted."""
    totals = asdict(Totals(sent=1, acknowledged=1, read=1, lost=0, duplicated=0, recovery_s=None))
    terminal = Terminal(tmp_path)
    for number in range(many):
        outcome = BROKE if number == 7 else HELD
        terminal.results.append(
            Result(test=f"a.py::test_number_{number}", outcome=outcome, sentence="", seed=1,
                   reproduce=f"again {number}", totals=totals)
        )  # fmt: skip
    written = Written()
    terminal.pytest_terminal_summary(written)
    said = written._file.getvalue()
    assert said.index("BROKE    number_7 ") > 0
    assert "  again 7\n" in said
    each = many == TOLD_EACH
    assert said.count("number 3 ") == said.count("held     number_3 ") == int(each)
    assert (f"held     {many - 1} scenarios; {tmp_path / 'results.jsonl'} tells each\n" in said) == (not each)
