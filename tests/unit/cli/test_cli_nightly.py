"""`kafkaos nightly` on a machine where no round can begin: it stops, and never says that all held."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kafkaos.commands.nightly import is_in_vain


def test_a_night_in_which_nothing_ran_is_no_pass(tmp_path: Path) -> None:
    """Without a Java the first round fails; the night ends at once, with 2, its summary and its seed kept."""
    environment = {**os.environ, "KAFKAOS_JAVA_HOME": str(tmp_path / "nowhere")}
    command = [sys.executable, "-m", "kafkaos.cli", "nightly", "A3", "--minutes", "60", "--seed", "1"]
    done = subprocess.run(
        [*command, "--cluster", "single", "--out", str(tmp_path / "out")],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["seeds"]


@pytest.mark.parametrize(
    ("outcomes", "whole", "in_vain"),
    [
        ({"error"}, False, True),  # no Java: the others have none either
        ({"error", "skipped"}, True, True),
        ({"skipped"}, True, True),
        ({"skipped"}, False, False),  # the main job on one broker
        ({"skipped", "held"}, True, False),
        ({"cut"}, True, False),
        (set(), True, True),
    ],
)
def test_a_night_ends_early_only_where_it_would_go_on_in_vain(
    outcomes: set[str], whole: bool, in_vain: bool
) -> None:
    """What is skipped on this cluster does not end a night in which other scenarios can run."""
    assert is_in_vain(outcomes, whole=whole) is in_vain
