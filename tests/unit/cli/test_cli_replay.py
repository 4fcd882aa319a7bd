"""`kafkaos replay` and `kafkaos run FILE` tell what is wrong with a folder or a file before anything starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kafkaos.cli import execute
from kafkaos.errors import EXIT_UNKNOWN, EXIT_WRONG_USE

STEP = {"fault": {"fault": "kill-client", "client": "consumer"}}


def test_a_folder_without_a_plan_cannot_be_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No fault was in it, or it is no run: wrong use, in one sentence."""
    assert execute(["replay", str(tmp_path)]) == EXIT_WRONG_USE
    assert "no plan.json to replay" in " ".join(capsys.readouterr().err.split())


def test_of_several_runs_one_must_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The runs in a session's folder are told by name."""
    for name in ("first", "second"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "plan.json").write_text('{"steps": []}')
    assert execute(["replay", str(tmp_path)]) == EXIT_WRONG_USE
    assert "runs/first, runs/second" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    "meta", [None, "{", "{}", '{"seed": 1, "settings": {}}', '{"seed": "x", "settings": null}']
)
def test_a_run_that_does_not_say_what_it_was_is_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], meta: str | None
) -> None:
    """Without its test and seed nothing can be repeated: exit status 2."""
    (tmp_path / "plan.json").write_text('{"steps": []}')
    if meta is not None:
        (tmp_path / "recording.json").write_text(meta)
    assert execute(["replay", str(tmp_path)]) == EXIT_UNKNOWN
    assert "which test ran" in " ".join(capsys.readouterr().err.split())


def test_a_test_that_is_gone_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file that a run was of may have been removed since."""
    settings = {
        "test": "gone/test_x.py::test_y",
        "file": "/gone/test_x.py",
        "backend": "process",
        "cluster": "single",
    }
    (tmp_path / "plan.json").write_text('{"steps": []}')
    (tmp_path / "recording.json").write_text(json.dumps({"seed": 1, "settings": settings}))
    assert execute(["replay", str(tmp_path)]) == EXIT_WRONG_USE
    assert "not there any more" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "There is no file"),
        ("{", "is not JSON"),
        ("[]", "neither `steps`"),
        ('{"title": "x"}', "neither `steps`"),
        (json.dumps({"steps": [{**STEP, "hodl": {}}]}), "did you mean `hold`"),
    ],
)
def test_a_file_that_is_no_plan_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, told: str
) -> None:
    """The file and the place in it are named, with the near match."""
    file = tmp_path / "mine.json"
    if text is not None:
        file.write_text(text)
    assert execute(["run", str(file)]) == EXIT_WRONG_USE
    assert told in " ".join(capsys.readouterr().err.split())


def test_a_plan_is_run_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A scenario beside a file is refused rather than left out."""
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"steps": [STEP]}))
    assert execute(["run", str(file), "A1"]) == EXIT_WRONG_USE
    assert "run alone" in " ".join(capsys.readouterr().err.split())
