"""`kafkaos replay` and `kafkaos run FILE` tell what is wrong with a folder or a file before anything starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kafkaos.cli import execute
from kafkaos.commands.replay import as_it_was
from kafkaos.errors import EXIT_UNKNOWN, EXIT_WRONG_USE, WrongUse
from kafkaos.pytest_plugin.session import Session

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
        ('{"steps": []}', "a plan without a fault does nothing"),
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


def test_a_folder_is_no_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, no mistake of kafkaos."""
    (tmp_path / "mine.json").mkdir()
    assert execute(["run", str(tmp_path / "mine.json")]) == EXIT_WRONG_USE
    assert "mine.json cannot be read: Is a directory" in " ".join(capsys.readouterr().err.split())


def test_a_plan_is_run_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A scenario beside a file is refused rather than left out."""
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"steps": [STEP]}))
    assert execute(["run", str(file), "A1"]) == EXIT_WRONG_USE
    assert "run alone" in " ".join(capsys.readouterr().err.split())


def meta_of(kafka: str = "4.3.1", **given: Any) -> dict[str, Any]:
    """What a run of a session with these settings keeps about itself, as its folder has it."""
    settings: dict[str, Any] = {
        "cluster": None, "backend": "process", "image": None, "bootstrap": None, "client_config": None,
        "java_home": None, "out": Path("/out"), "quiet": True,
    }  # fmt: skip
    session = Session(seed=1, **{**settings, **given})
    return json.loads(json.dumps({"seed": 1, "versions": {"kafka": kafka}, "settings": session.settings()}))


@pytest.mark.parametrize(
    ("given", "then"),
    [
        ({}, {"backend": "process"}),
        ({"security": "mtls", "version": "4.2.1", "java_home": "/java"},
         {"backend": "process", "security": "mtls", "version": "4.2.1", "java-home": "/java"}),
        ({"backend": "docker", "image": "my/kafka", "cluster": "three"},
         {"backend": "docker", "image": "my/kafka", "cluster": "three"}),
        ({"backend": "external", "bootstrap": "127.0.0.1:9092", "client_config": Path("/my.properties")},
         {"backend": "external", "bootstrap": "127.0.0.1:9092", "client-config": "/my.properties"}),
    ],
)  # fmt: skip
def test_a_run_is_replayed_with_its_own_settings(given: dict[str, Any], then: dict[str, Any]) -> None:
    """Whatever a session was given is in the run's metadata and comes back, the version of Kafka also as a default."""
    own = given.get("backend") != "external"
    told = as_it_was(meta_of(given.get("version", "4.3.1") if own else "external", **given), {})
    expected = {"version": "4.3.1", **then} if own else then
    assert {name: value for name, value in told.items() if value is not None} == expected


def test_what_is_asked_for_now_wins() -> None:
    """An explicit option takes the place of the stored setting; what is not asked for stays."""
    meta = meta_of("4.2.1", security="mtls", version="4.2.1")
    told = as_it_was(meta, {"security": "tls", "version": None, "backend": "docker", "image": "my/kafka"})
    assert (told["security"], told["version"]) == ("tls", "4.2.1")
    assert (told["backend"], told["image"]) == ("docker", "my/kafka")
    there = meta_of("external", backend="external", bootstrap="127.0.0.1:9092")
    assert as_it_was(there, {"bootstrap": "127.0.0.1:9093"})["bootstrap"] == "127.0.0.1:9093"


def test_a_cluster_of_ours_and_one_that_was_there_do_not_stand_for_each_other() -> None:
    """Targets and abilities differ: refused in words, as is a foreign cluster whose address nobody knows."""
    there = meta_of("external", backend="external", bootstrap="127.0.0.1:9092")
    with pytest.raises(WrongUse, match="`external`, and its plan does not fit the clusters of `process`"):
        as_it_was(there, {"backend": "process"})
    with pytest.raises(WrongUse, match="`process`, and its plan does not fit the clusters of `external`"):
        as_it_was(meta_of(), {"bootstrap": "127.0.0.1:9092"})
    del there["settings"]["bootstrap"]  # as runs were kept before
    with pytest.raises(WrongUse, match="--bootstrap HOST:PORT"):
        as_it_was(there, {})
