"""What `kafkaos run` says and answers when not one scenario could run: no broker is started for any of these."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kafkaos.cli import execute
from kafkaos.commands.run import Outcomes
from kafkaos.errors import EXIT_UNKNOWN
from kafkaos.reporting.results import read

ONE, TWO = (
    "what_acks_1_writes_below_min_insync_replicas_is_not_readable_until_a_replica_is_back",
    "below_min_insync_replicas_sends_are_refused_and_the_same_producer_goes_on_after",
)
REASON = "it needs 3 brokers, and single has 1"


def test_a_run_in_which_all_was_skipped_proved_nothing(tmp_path: Path) -> None:
    """It ends with 2, as wherever nothing was observed; one sentence has each reason once, and so has each scenario."""
    environment = {
        **os.environ,
        "KAFKAOS_JAVA_HOME": str(tmp_path / "nowhere"),
    }  # nothing could be started either
    command = [sys.executable, "-m", "kafkaos", "run", ONE, TWO, "--cluster", "single", "--json"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out")],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert (done.returncode, told["exit_status"]) == (EXIT_UNKNOWN, EXIT_UNKNOWN), done.stderr
    assert [one["outcome"] for one in told["scenarios"]] == ["skipped", "skipped"]
    *_, last = done.stderr.strip().splitlines()
    assert last == f"kafkaos: nothing was judged, for every scenario was skipped: {REASON}"
    assert [result.sentence for result in read(tmp_path / "out")] == [REASON, REASON]


def test_a_java_that_is_named_and_not_there_is_told_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one sentence, and not by each scenario that fails; no folder is made."""
    assert execute(["run", "A3", "--java-home", "/nope", "--out", str(tmp_path / "out")]) == EXIT_UNKNOWN
    assert capsys.readouterr().err.startswith("kafkaos: no Java at /nope/bin/java")
    assert not (tmp_path / "out").exists()


def report(test: str, why: str | None) -> pytest.TestReport:
    """Of a test that was skipped for a reason, or passed."""
    longrepr = None if why is None else ("test_x.py", 1, f"Skipped: {why}")
    return pytest.TestReport(
        test, ("test_x.py", 1, test), {}, "passed" if why is None else "skipped", longrepr, "call"
    )


@pytest.mark.parametrize(
    ("skipped", "before", "told"),
    [
        (["no nft", "no nft", "no root"], False, ["no nft", "no root"]),
        (["no nft", None], False, []),  # something ran
        (["no nft"], True, []),  # --resume: the folder has results already
        ([], False, []),  # --resume: nothing was left
    ],
)
def test_only_where_nothing_at_all_ran_all_was_skipped(
    skipped: list[str | None], before: bool, told: list[str]
) -> None:
    """One scenario that ran, now or before, has proven what it has proven."""
    outcomes = Outcomes()
    outcomes.pytest_deselected(["before"] if before else [])
    for number, why in enumerate(skipped):
        outcomes.pytest_runtest_logreport(report(f"test_{number}", why))
    assert outcomes.all_skipped() == told
