"""The options of the pytest plugin: what is wrong with them is told once, before the first test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--kafka-security=mtsl", "did you mean `mtls`?"),
        ("--kafka-version=banana", "`banana` is no version of Kafka"),
        ("--kafka-backend=external", "--kafka-bootstrap HOST:PORT"),
        ("--kafka-out=afile", "afile is a file"),
    ],
)
def test_an_option_that_does_not_fit_is_a_usage_error(tmp_path: Path, option: str, told: str) -> None:
    """pytest ends with its own status for wrong use and one sentence; nothing runs."""
    (tmp_path / "afile").touch()
    (tmp_path / "test_mine.py").write_text("def test_mine():\n    pass\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", option],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout
    assert told in done.stderr
    assert "INTERNALERROR" not in done.stdout + done.stderr
