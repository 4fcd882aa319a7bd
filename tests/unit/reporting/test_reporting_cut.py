"""What is kept of a test that is interrupted in its middle, as a night's last one is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from kafkaos.reporting.results import RESULTS_FILE, Result, append

TESTS = """
import os, signal, time
import pytest

@pytest.fixture
def kafka_cluster():
    return None

def test_before(kafka_cluster):
    pass

def test_cut(kafka_cluster):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
"""


def run(folder: Path, *options: str) -> str:
    (folder / "test_mine.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-q",
        f"--kafka-out={folder / 'out'}",
    ]
    done = subprocess.run(
        [*command, *options], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    return done.stdout + done.stderr


def test_an_interrupted_test_has_not_passed_in_allure(tmp_path: Path) -> None:
    """It did not run to its end, and says why; the one before it keeps what it came to."""
    told = run(tmp_path, "--alluredir=allure-results")
    found = [json.loads(path.read_text()) for path in (tmp_path / "allure-results").glob("*-result.json")]
    assert {one["name"]: one["status"] for one in found} == {
        "test_before[single]": "passed",
        "test_cut[single]": "skipped",
    }, told
    (cut,) = [one for one in found if one["name"] == "test_cut[single]"]
    assert "it was interrupted before its end" in cut["statusDetails"]["message"]


def test_a_test_that_was_cut_off_is_run_again_on_resume(tmp_path: Path) -> None:
    """Its folder was begun and it has no line: only the one that has come to its end is left out."""
    out = tmp_path / "out"
    append(
        out,
        Result(test="test_mine.py::test_before[single]", outcome="held", sentence="", seed=1, reproduce=""),
    )
    folder = out / "runs" / "cut"
    folder.mkdir(parents=True)
    meta = {"run": "1", "seed": 1, "settings": {"test": "test_mine.py::test_cut[single]"}}
    (folder / "recording.json").write_text(json.dumps(meta))
    told = run(tmp_path, "--kafka-resume", "--collect-only")
    assert "test_mine.py::test_cut[single]" in told
    assert "test_mine.py::test_before[single]" not in told
    assert len((out / RESULTS_FILE).read_text().splitlines()) == 1
