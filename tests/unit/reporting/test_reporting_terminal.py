"""What the terminal makes of reports that are not of a scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafkaos.reporting.terminal import Terminal


def test_a_file_that_cannot_be_collected_is_told_by_pytest_itself(tmp_path: Path) -> None:
    """The report of a collection has no verdict: it is left to pytest, which tells the error of the file."""
    broken = pytest.CollectReport("test_broken.py", "failed", "SyntaxError", [])
    assert Terminal(tmp_path).pytest_report_teststatus(broken) is None
