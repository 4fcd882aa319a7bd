"""`kafkaos nightly` on a machine where no round can begin: it stops, and never says that all held."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kafkaos.cli import execute
from kafkaos.commands.nightly import _end, _tell, is_in_vain
from kafkaos.errors import EXIT_BROKE, EXIT_WRONG_USE
from kafkaos.reporting import allure3
from kafkaos.reporting.results import Result, append


def test_a_night_in_which_nothing_ran_is_no_pass(tmp_path: Path) -> None:
    """Without a Java the first round fails; the night ends at once, with 2, its summary and its seed kept."""
    environment = {**os.environ, "KAFKAOS_JAVA_HOME": str(tmp_path / "nowhere")}
    command = [sys.executable, "-m", "kafkaos", "nightly", "A3", "--minutes", "60", "--seed", "1"]
    done = subprocess.run(
        [*command, "--cluster", "single", "--out", str(tmp_path / "out")],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["seeds"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--cluster", "threee"], "did you mean `three`?"),
        (["--security", "mtsl"], "did you mean `mtls`?"),
        (["--kafka", "banana"], "is no version of Kafka"),
        (["--backend", "external"], "take the backend `process` or `docker`"),
    ],
)
def test_what_no_round_could_mend_is_told_before_the_first(
    options: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong use is 64, and no round is stored, which the next night would go on with."""
    assert execute(["nightly", *options, "--out", str(tmp_path / "out")]) == EXIT_WRONG_USE
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_after_a_night_without_results_old_failures_are_not_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is new is told by the newest night that has results, and the reports leave the empty one out."""
    monkeypatch.setattr(allure3, "lacking", lambda: "there is no Node here")
    failed = Result(test="a", outcome="broke", sentence="", seed=1, reproduce="", began_s=200.0)
    append(tmp_path / "nights" / "20200101-000000", failed)
    (tmp_path / "nights" / "20200102-000000").mkdir()
    append(tmp_path / "rounds" / "1", failed)
    assert _tell(tmp_path, 100.0, [{"folder": "rounds/1", "seed": 1}]) == EXIT_BROKE
    (told,) = json.loads((tmp_path / "summary.json").read_text())["not_held"]
    assert (told["test"], told["new"]) == ("a", False)


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


def test_a_run_whose_time_is_up_is_asked_to_end_also_where_ctrl_c_is_ignored() -> None:
    """As in a job that a script started in the background: killed instead, it would not have told what it saw."""
    ignoring = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", ignoring], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        _end(process)
    assert process.returncode == -signal.SIGTERM
