"""`kafkaos heal`: a misspelt folder is not a clean one, and what could not be healed is told at the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kafkaos.cli import execute
from kafkaos.errors import EXIT_HELD, EXIT_UNKNOWN, EXIT_WRONG_USE


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else's clusters are swept, and nobody's runs are healed."""
    monkeypatch.setenv("KAFKAOS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    monkeypatch.chdir(tmp_path)


def test_a_folder_that_is_not_there_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a misspelt folder nor a file was healed; without a name nothing ever ran here, which is fine."""
    (tmp_path / "afile").touch()
    for named in ("nosuch", "afile"):
        assert execute(["heal", named]) == EXIT_WRONG_USE
        assert f"There is no folder {named}" in capsys.readouterr().err
    assert execute(["heal"]) == EXIT_HELD
    assert capsys.readouterr().out == "Nothing was left behind.\n"


def test_a_broken_journal_is_told_after_all_else_is_healed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sweep is done, what was undone is told, and the exit status is 2."""
    runs, stale = tmp_path / "runs", tmp_path / "state" / "cluster-7"
    stale.mkdir(parents=True)
    whole = json.dumps({"undo": 1, "kind": "start-node", "facts": {"node": 1, "name": "broker-1"}})
    for name, line in (("a", '{"undo": 1}'), ("b", whole), ("c", '{"undo": 1}')):
        (runs / name).mkdir(parents=True)
        (runs / name / "heal.jsonl").write_text(f"{line}\n")
    assert execute(["heal", str(runs), "--json"]) == EXIT_UNKNOWN
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert (len(told["undone"]), told["removed"], len(told["failed"])) == (1, [str(stale)], 2)
    assert captured.err.count("kafkaos: ") == 2
    assert not stale.exists()
