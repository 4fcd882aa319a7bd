"""`kafkaos controls` tells what came out of each control; a weak side that is not red is never a success."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kafkaos.checks import Status, Verdict
from kafkaos.cli import execute
from kafkaos.commands import controls as command
from kafkaos.controls import CONTROLS, ControlResult
from kafkaos.errors import EXIT_HELD, EXIT_UNKNOWN, EXIT_WRONG_USE, SetupFailed

FAIL, PASS, UNKNOWN = Status.FAIL, Status.PASS, Status.UNKNOWN


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The command with controls that come out as told, without a cluster."""

    def run(weak: Status | None, twin: Status, *arguments: str) -> int:
        def play(control: Any, *_: Any) -> ControlResult:
            if weak is None:
                raise SetupFailed("no evidence")
            sides = {
                side: tuple(
                    Verdict(guarantee=g.name, status=status, sentence=f"{side} told")
                    for g in control.guarantees
                )
                for side, status in (("weak", weak), ("twin", twin))
            }
            return ControlResult(control=control.name, sentence="", **sides)

        monkeypatch.setattr(command, "_play", play)
        return execute(["controls", "--out", str(tmp_path), *arguments])

    return run


def test_all_red_and_green_is_a_success(played: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Every control is played, every guarantee is in the list, and the exit status is 0."""
    assert played(FAIL, PASS, "--json") == EXIT_HELD
    rows = json.loads(capsys.readouterr().out)
    assert {row["control"] for row in rows} == set(CONTROLS)
    assert {(row["weak"], row["safe"], row["holds"]) for row in rows} == {("fail", "pass", True)}


def test_recordings_that_were_not_made_are_not_named(played: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A control that could not be played has none."""
    assert played(None, PASS, "acks-1") == EXIT_UNKNOWN
    assert "recordings:" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("weak", "twin"), [(PASS, PASS), (UNKNOWN, PASS), (FAIL, FAIL), (FAIL, UNKNOWN), (None, PASS)]
)
def test_anything_else_is_not(
    played: Any, capsys: pytest.CaptureFixture[str], weak: Status | None, twin: Status
) -> None:
    """A weak side that stays green, a twin that breaks, a control that cannot be played: exit status 2."""
    assert played(weak, twin, "acks-1", "--json") == EXIT_UNKNOWN
    (row,) = json.loads(capsys.readouterr().out)
    assert row["guarantee"] == "no_acknowledged_loss"
    assert not row["holds"]


def test_the_table_counts_the_runs(played: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """With `--times` each is played anew, and the counts are told."""
    assert played(FAIL, PASS, "lost-answers", "--times", "3") == EXIT_HELD
    told = " ".join(capsys.readouterr().out.split())
    assert "3/3" in told
    assert "no_duplicates" in told


def test_a_guarantee_names_its_controls(played: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """`kafkaos controls no_aborted_read` plays both of its controls."""
    assert played(FAIL, PASS, "no_aborted_read", "--json") == EXIT_HELD
    rows = json.loads(capsys.readouterr().out)
    assert {row["control"] for row in rows} == {"uncommitted-reader", "no-transactional-id"}


def test_an_unknown_control_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """With the near match."""
    assert execute(["controls", "ack-1"]) == EXIT_WRONG_USE
    assert "did you mean `acks-1`" in " ".join(capsys.readouterr().err.split())


def test_a_folder_that_holds_runs_is_not_gone_on_with(
    played: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told in one sentence before anything starts, not as a segment that exists in the middle of a control."""
    (tmp_path / "runs").mkdir()
    assert played(FAIL, PASS, "acks-1") == EXIT_WRONG_USE
    assert "holds runs already: name a folder of its own with --out" in " ".join(
        capsys.readouterr().err.split()
    )
