"""The command line itself: statuses and sentences, in this process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import pytest

from kafkaos import cli
from kafkaos.cli import execute
from kafkaos.commands.scenarios import scenarios
from kafkaos.errors import EXIT_HELD, EXIT_UNKNOWN, EXIT_WRONG_USE


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["rnu"], "run"),
        (["up", "--no-such-option"], "No such option"),
        (["up", "threee"], "did you mean `three`?"),
        (["up", "single", "--backend", "proces"], "did you mean `process`?"),
        (["up", "single", "--"], "no command after `--`"),
        (["up", "single", "--", "no-such-command-here"], "`no-such-command-here` is not found"),
        (["run", "main_jb"], "did you mean `main_job`?"),
        (["run", "--cluster", "threee"], "did you mean `three`?"),
        (["run", "--seed", "x"], "'--seed'"),
        (["run", "--security", "mtsl"], "did you mean `mtls`?"),
        (["run", "--kafka", "banana"], "`banana` is no version of Kafka: write it as X.Y.Z"),
        (["run", "--resume"], "name it by --out DIR"),
        (["run", "--backend", "external"], "the address of the cluster: --bootstrap HOST:PORT"),
        (["run", "--backend", "docker", "--bootstrap", "x:1"], "leave one of them out"),
        (
            ["run", "--client-config", "nosuch.properties"],
            "the client settings nosuch.properties cannot be read",
        ),
        (["run", "--out", __file__], f"{__file__} is a file"),
        (["run", "--out", f"{__file__}/below"], f"{__file__} is a file"),
        (["controls", "acks-1", "--out", __file__], f"{__file__} is a file"),
        (["up", "single", "--logs", __file__, "--", "true"], f"{__file__} is a file"),
        (["report", "nosuch", "--out", __file__], f"{__file__} is a file"),
        (["replay", "nosuch", "--security", "mtsl"], "did you mean `mtls`?"),
        (["replay", "nosuch", "--bootstrap", "x:1", "--backend", "docker"], "leave one of them out"),
        (["up", "single", "--backend", "external"], "take the backend `process` or `docker`"),
        (["check", "/nowhere/at/all"], "no recording at /nowhere/at/all"),
        (["check", "/nowhere", "--guarantee", "no_duplicate"], "did you mean `no_duplicates`?"),
        (["tool", "topic"], "did you mean `topics`?"),
        (["list", "fautls"], "did you mean `faults`?"),
        (["bench", "strtup"], "did you mean `startup`?"),
    ],
)
def test_wrong_use_is_one_sentence_with_the_near_match(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is not known ends with 64 and says in one line on stderr what would be."""
    assert execute(arguments) == EXIT_WRONG_USE
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.err.startswith("kafkaos: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_file_in_the_way_is_no_mistake_of_kafkaos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the system says of a file that a person named is one sentence, and 2; no traceback."""

    def refused(*_: object, **__: object) -> int:
        return len((tmp_path / "folder").read_text())

    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(cli, "app", refused)
    assert execute(["list", "clusters"]) == EXIT_UNKNOWN
    assert capsys.readouterr().err.startswith(f"kafkaos: {tmp_path}/folder: Is a directory; name another one")


def test_a_command_of_commands_names_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """`kafkaos image` alone is a whole sentence, not the beginning of its help."""
    assert execute(["image"]) == EXIT_WRONG_USE
    assert capsys.readouterr().err == "kafkaos: Missing command; see `kafkaos image --help`.\n"


def test_a_failed_import_leaves_nothing_behind(tmp_path: Path) -> None:
    """The folder that it made would be in the way of the next try; one that was there before stays."""
    (tmp_path / "a.txt").write_text("nothing that a verifiable client prints\n")
    (tmp_path / "mine").mkdir()
    for out in ("new", "mine"):
        assert (
            execute(["import", "verifiable", str(tmp_path / "a.txt"), "--out", str(tmp_path / out)])
            == EXIT_UNKNOWN
        )
    assert [(tmp_path / out).exists() for out in ("new", "mine")] == [False, True]


@pytest.mark.parametrize("meta", ["{", "[]"])
def test_a_report_of_a_broken_run_is_told(
    meta: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """recording.json that is no object: the file and the next step."""
    (tmp_path / "recording.json").write_text(meta)
    assert execute(["report", str(tmp_path), "--html"]) == EXIT_UNKNOWN
    assert "recording.json is not" in capsys.readouterr().err


def test_a_recording_of_ones_own_has_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told what can be done with it."""
    (tmp_path / "recording.jsonl").touch()
    assert execute(["report", str(tmp_path), "--html"]) == EXIT_WRONG_USE
    assert f"judge it with `kafkaos check {tmp_path}`" in capsys.readouterr().err


def test_a_refused_start_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder for logs goes where there are none."""
    monkeypatch.setenv("KAFKAOS_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert execute(["up", "single", "--java-home", "/nope", "--", "true"]) == EXIT_UNKNOWN
    assert list(tmp_path.glob("kafkaos-up-*")) == []


def test_a_java_that_is_not_there_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """In one line of the doctor's table, and so once among the reasons."""
    assert execute(["doctor", "--json", "--java-home", "/nope"]) == EXIT_UNKNOWN
    told = json.loads(capsys.readouterr().out)
    assert [finding["name"] for finding in told["findings"]].count("java") == 1
    assert told["backends"][0]["reason"].count("no Java at") == 1


def test_the_list_of_scenarios_has_their_whole_names(capsys: pytest.CaptureFixture[str]) -> None:
    """As `kafkaos run` takes them, each with its rows on a line of its own."""
    assert execute(["list", "scenarios"]) == EXIT_HELD
    lines = capsys.readouterr().out.splitlines()
    assert {
        f"{scenario.name}  [{', '.join(scenario.rows)}]" if scenario.rows else scenario.name
        for scenario in scenarios()
    } <= set(lines)


def test_the_module_is_the_command_and_tells_its_version() -> None:
    """Where the script of the environment is not on the path."""
    told = subprocess.run(
        [sys.executable, "-m", "kafkaos", "--version"], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout == f"kafkaos {version('kafkaos')}\n"


def test_no_argument_shows_the_help_and_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    """`kafkaos` alone tells its commands and ends with 64."""
    assert execute([]) == EXIT_WRONG_USE
    assert "doctor" in capsys.readouterr().out


def test_guarantees_are_listed_with_their_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    """What docs/recording.md sends its readers here for: each parameter with its default."""
    assert execute(["list", "guarantees", "--json"]) == EXIT_HELD
    told = {row["name"]: row["parameters"] for row in json.loads(capsys.readouterr().out)}
    assert told["recovered"] == {"within_s": 15.0, "since": "inject"}
    assert told["no_phantom"] == {}
    assert execute(["list", "guarantees"]) == EXIT_HELD
    assert "parameters" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["clusters", "faults", "guarantees", "scenarios"])
def test_lists_are_json_with_names(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each list prints JSON objects, each with a name, no name twice."""
    assert execute(["list", kind, "--json"]) == EXIT_HELD
    names = [row["name"] for row in json.loads(capsys.readouterr().out)]
    assert names
    assert len(set(names)) == len(names)


def test_every_fault_tells_whether_it_is_available(capsys: pytest.CaptureFixture[str]) -> None:
    """A fault that is not available says why, one that is has no reason."""
    assert execute(["list", "faults", "--json"]) == EXIT_HELD
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["kill"]["available"] is True
    assert all(row["available"] == (row["reason"] is None) for row in rows.values())
    assert {"name", "family", "available", "reason"} <= set(rows["kill"])


@pytest.mark.parametrize(
    ("backend", "has", "lacks"),
    [("docker", "isolate", set()), ("external", "kill-client", {"isolate", "kill"})],
)
def test_the_faults_of_each_backend_are_told(
    backend: str, has: str, lacks: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Asked of a backend, the list has its faults, and for each other one the reason."""
    assert execute(["list", "faults", "--backend", backend, "--json"]) == EXIT_HELD
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows[has]["available"] is True
    lacking = {name for name, row in rows.items() if "this backend cannot" in (row["reason"] or "")}
    assert lacking >= lacks
    assert bool(lacking) == bool(lacks)
    assert execute(["list", "faults", "--backend", "dokcer"]) == EXIT_WRONG_USE
