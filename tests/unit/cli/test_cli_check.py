"""`kafkaos check` on recordings of no cluster at all."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from kafkaos.checks.healthy import healthy
from kafkaos.cli import execute
from kafkaos.errors import EXIT_BROKE, EXIT_HELD, EXIT_UNKNOWN, EXIT_WRONG_USE

GUARANTEES = [
    "no_acknowledged_loss",
    "offsets_agree",
    "no_duplicates",
    "no_phantom",
    "producer_order",
    "reader_order",
]


@pytest.fixture
def rows() -> pl.DataFrame:
    return healthy().rows


def write_run(folder: Path, rows: pl.DataFrame) -> Path:
    """A run's folder as a run leaves it."""
    folder.mkdir(parents=True)
    rows.write_parquet(folder / "recording.parquet")
    meta = {"rows": rows.height, "guarantees": [{"guarantee": name} for name in GUARANTEES]}
    (folder / "recording.json").write_text(json.dumps(meta))
    return folder


def test_a_healthy_recording_holds(
    tmp_path: Path, rows: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    """The guarantees that the run listed are judged, and all hold."""
    assert execute(["check", str(write_run(tmp_path / "run", rows)), "--json"]) == EXIT_HELD
    (answer,) = json.loads(capsys.readouterr().out)["recordings"]
    assert [v["guarantee"] for v in answer["verdicts"]] == GUARANTEES
    assert {v["status"] for v in answer["verdicts"]} == {"pass"}
    assert answer["totals"]["sent"] == rows.filter(pl.col("op") == "send").height


def test_a_removed_record_turns_red_and_is_named(
    tmp_path: Path, rows: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    """One record of the final truth taken away: exit 1, and the table names the record."""
    orders = rows.filter((pl.col("op") == "final") & (pl.col("topic") == "orders"))
    gone = orders.filter(pl.col("partition") == 1).row(5, named=True)
    log = (pl.col("op") == "final") & (pl.col("value") == gone["value"])
    assert execute(["check", str(write_run(tmp_path / "run", rows.filter(~log)))]) == EXIT_BROKE
    told = capsys.readouterr().out
    assert "BROKE" in told
    assert f"{gone['topic']}-1 at offset {gone['offset']}" in told


def test_a_broken_run_is_the_news_beside_an_unreadable_one(
    tmp_path: Path, rows: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of several recordings each is judged; a breach outweighs what cannot be read."""
    write_run(tmp_path / "runs" / "good", rows)
    cut = write_run(tmp_path / "runs" / "cut", rows) / "recording.parquet"
    cut.write_bytes(cut.read_bytes()[:-100])
    assert execute(["check", str(tmp_path / "runs")]) == EXIT_UNKNOWN
    assert str(cut) in capsys.readouterr().err
    gone = rows.filter((pl.col("op") == "final") & (pl.col("topic") == "orders")).row(5, named=True)["value"]
    write_run(tmp_path / "runs" / "bad", rows.filter((pl.col("op") != "final") | (pl.col("value") != gone)))
    assert execute(["check", str(tmp_path / "runs")]) == EXIT_BROKE


def test_a_stranger_s_file_is_judged_by_all_that_need_no_parameter(
    tmp_path: Path, rows: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    """A .jsonl of anybody's making is judged whole, or by the guarantee that is asked for alone."""
    path = tmp_path / "theirs.jsonl"
    rows.write_ndjson(path)
    assert execute(["check", str(path), "--guarantee", "no_duplicates"]) == EXIT_HELD
    capsys.readouterr()
    execute(["check", str(path), "--json"])
    judged = json.loads(capsys.readouterr().out)["recordings"][0]["verdicts"]
    assert set(GUARANTEES) <= {v["guarantee"] for v in judged}


def test_an_empty_folder_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without a recording is told, never judged as held."""
    assert execute(["check", str(tmp_path)]) == EXIT_WRONG_USE
    assert f"no recording in {tmp_path}" in capsys.readouterr().err


def write_lines(path: Path, *ops: str) -> Path:
    """One record: sent, and then whatever else is asked for."""
    row = {
        "client": "c",
        "topic": "t",
        "partition": 0,
        "offset": 0,
        "value": 1,
        "outcome": "ok",
        "invoked_ns": 1,
        "completed_ns": 1,
    }
    path.write_text("".join(json.dumps(row | {"op": op, "client": op}) + "\n" for op in ops))
    return path


@pytest.mark.parametrize(
    ("ops", "status"),
    [
        (["send", "read", "final"], EXIT_HELD),  # most guarantees do not apply, and do not count
        (["send", "read"], EXIT_UNKNOWN),  # nobody looked whether the acknowledged record is there
        (["assign"], EXIT_UNKNOWN),  # nothing was observed
        (["read", "final"], EXIT_HELD),
    ],
)
def test_what_does_not_apply_counts_only_if_it_was_asked_for(
    tmp_path: Path, ops: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a recording that names no guarantee all are judged that its rows allow; nothing at all is unknown."""
    path = write_lines(tmp_path / "theirs.jsonl", *ops)
    assert execute(["check", str(path), "--json"]) == status
    judged = json.loads(capsys.readouterr().out)["recordings"][0]["verdicts"]
    apart = {v["guarantee"]: v for v in judged}["fencing"]
    assert (apart["status"], apart["applicable"]) == ("unknown", False)
    assert execute(["check", str(path), "--guarantee", "fencing"]) == EXIT_UNKNOWN


def test_a_guarantee_may_have_parameters(tmp_path: Path) -> None:
    """An object in JSON is a guarantee with its parameters; a broken one is wrong use."""
    path = write_lines(tmp_path / "theirs.jsonl", "send", "read", "final")
    assert (
        execute(["check", str(path), "--guarantee", '{"guarantee": "available", "within_s": 1}']) == EXIT_HELD
    )
    assert execute(["check", str(path), "--guarantee", '{"guarantee": ']) == EXIT_WRONG_USE


@pytest.mark.parametrize(
    "guarantees", ['["no_such"]', '"no_loss"', '[{"guarantee": "available", "within": 3}]']
)
def test_guarantees_that_cannot_be_followed_are_no_pass(
    tmp_path: Path, guarantees: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A recording whose own list is broken is unknown."""
    write_lines(tmp_path / "recording.jsonl", "send", "read", "final")
    (tmp_path / "recording.json").write_text(f'{{"guarantees": {guarantees}}}')
    assert execute(["check", str(tmp_path)]) == EXIT_UNKNOWN
    assert "recording.json" in capsys.readouterr().err


def test_the_format_is_told_by_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Who has only the installed package can read how a recording is written."""
    assert execute(["check", "--format"]) == EXIT_HELD
    told = capsys.readouterr().out
    assert '{"client": "producer-1", "op": "send"' in told
    assert "| `invoked_ns` | int64 |" in told


def test_a_folder_with_a_broken_body_takes_no_verdict_from_its_neighbours(
    tmp_path: Path, rows: pl.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each recording is judged, and the broken one is told."""
    write_run(tmp_path / "good", rows)
    bodies = write_run(tmp_path / "bad", rows) / "bodies"
    bodies.mkdir()
    (bodies / "out.jsonl").write_bytes(b'{"partition": 0, "offset": "x", "key": null, "value": null}\n')
    assert execute(["check", str(tmp_path), "--json"]) == EXIT_UNKNOWN
    bad, good = json.loads(capsys.readouterr().out)["recordings"]
    assert "out.jsonl is broken in line 1" in bad["error"]
    assert good["exit_status"] == EXIT_HELD


def test_the_help_names_the_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    """A script that calls it need not look anywhere else."""
    assert execute(["check", "--help"]) == EXIT_HELD
    assert "64 wrong use" in " ".join(capsys.readouterr().out.split())
