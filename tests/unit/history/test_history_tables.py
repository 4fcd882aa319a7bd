"""Files that strangers wrote: read as docs/recording.md says, or refused by a sentence that names the place."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from kafkaos.checks import GUARANTEES
from kafkaos.errors import BrokenRecording
from kafkaos.history import load
from kafkaos.history.rows import Op

DOCS = Path(__file__).parents[3] / "docs" / "recording.md"
ROW: dict[str, Any] = {
    "client": "p", "op": "send", "topic": "orders", "partition": 0, "offset": 0, "value": 1, "outcome": "ok",
    "invoked_ns": 1,
}  # fmt: skip


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_docs_name_every_operation_and_guarantee() -> None:
    """Nobody has to look into the sources to write a recording."""
    text = DOCS.read_text(encoding="utf-8")
    cells = "\n".join(re.findall(r"^\| ([^|]*) \|", text, re.MULTILINE))
    named = set(re.findall(r"`(\w+)`", cells))
    assert {op.name.lower() for op in Op} <= named
    # Those of the library applications are described beside them.
    assert set(GUARANTEES) - {"bounded_rereading"} <= named


def test_a_line_that_was_cut_off_is_named(tmp_path: Path) -> None:
    """The last line of a truncated file is an error, not a row less."""
    path = write(tmp_path / "cut.jsonl", ROW, ROW | {"value": 2})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(BrokenRecording, match=r"cut\.jsonl has a broken line 2"):
        load(path)


def test_a_line_that_is_no_object_is_named(tmp_path: Path) -> None:
    """Another kind of JSON is not a row."""
    path = write(tmp_path / "list.jsonl", ROW)
    path.write_text(path.read_text() + "[1, 2]\n")
    with pytest.raises(BrokenRecording, match=r"list\.jsonl"):
        load(path)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"offset": -1}, "has the offset -1 in row 0: write null"),
        ({"offset": 1.5}, "has offset as Float64"),
        ({"offset": "1"}, "has offset as String"),
        ({"op": "sent"}, "has the op 'sent' in row 0"),
        ({"outcome": "acked"}, "has the outcome 'acked' in row 0"),
        ({"transactionId": 3}, "has the column transactionId: did you mean transaction"),
        ({"client": None}, "has no client in row 0"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    """A wrong value or a column nearly ours is never taken for something else."""
    with pytest.raises(BrokenRecording, match=said):
        load(write(tmp_path / "wrong.jsonl", ROW | wrong))


def test_whole_floating_numbers_are_taken(tmp_path: Path) -> None:
    """Tools without nullable integers write 3.0 where a column has nulls."""
    rows = load(write(tmp_path / "floats.jsonl", ROW | {"offset": 3.0}, ROW | {"offset": None})).rows
    assert rows["offset"].to_list() == [3, None]


def test_two_recordings_in_one_file_are_refused(tmp_path: Path) -> None:
    """A row of a client that comes twice, or two run ids, show that files were mixed."""
    row = ROW | {"row": 0}
    with pytest.raises(BrokenRecording, match="has row 0 of p"):
        load(write(tmp_path / "twice.jsonl", row, row))
    with pytest.raises(BrokenRecording, match="mixes the runs a and b"):
        load(write(tmp_path / "runs.jsonl", ROW | {"run": "a"}, ROW | {"run": "b"}))


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ({"rows": 3}, "has 2 rows, recording.json says 3"),
        ({"clients": {"p": 2, "gone": 5}}, "has 0 rows of gone, recording.json says 5"),
        ({"clients": {"p": 1}}, "has 2 rows of p"),
        ({"clients": {"p": 2}, "rows": 2}, ""),
    ],
)
def test_rows_that_the_run_counted_and_that_are_missing_leave_a_doubt(
    tmp_path: Path, meta: dict[str, Any], said: str
) -> None:
    """A folder may hold JSON lines; what recording.json counts must be there."""
    write(tmp_path / "recording.jsonl", ROW, ROW | {"value": 2, "offset": 1})
    (tmp_path / "recording.json").write_text(json.dumps(meta))
    doubt = load(tmp_path).doubt
    assert said in doubt
    assert bool(doubt) == bool(said)


def test_rows_of_another_run_than_the_folder_s_are_refused(tmp_path: Path) -> None:
    """A table that was copied into a wrong folder is not judged."""
    write(tmp_path / "recording.jsonl", ROW | {"run": "a"})
    (tmp_path / "recording.json").write_text('{"run": "b"}')
    with pytest.raises(BrokenRecording, match="is of run b, the rows are of run a"):
        load(tmp_path)


def test_two_tables_in_one_folder_are_refused(tmp_path: Path) -> None:
    """Nobody guesses which of two is meant."""
    write(tmp_path / "recording.jsonl", ROW)
    load(tmp_path).rows.write_parquet(tmp_path / "recording.parquet")
    with pytest.raises(BrokenRecording, match="has both"):
        load(tmp_path)
