"""Files that strangers wrote: read as docs/recording.md says, or refused by a sentence that names the place."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kafkaos.checks import GUARANTEES, judge_file, no_acknowledged_loss
from kafkaos.errors import BrokenRecording
from kafkaos.history import load, parts
from kafkaos.history.rows import Op
from kafkaos.history.sound import refuse_contradictions

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
    assert set(GUARANTEES) <= named


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
        ({"offset": 1.5}, "has offset as Float64: write it as int64"),
        ({"offset": "1"}, "has offset as String: write it as int64"),
        ({"corrupt": 1}, "has corrupt as Int64: write it as bool"),
        ({"client": 1}, "has client as Int64: write it as string"),
        ({"partition": 1 << 31}, "has the partition 2147483648 in row 0: it does not fit int32"),
        ({"op": "sent"}, "has the op 'sent' in row 0: known are send, read"),
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


def test_floating_numbers_that_are_none_are_null_or_refused(tmp_path: Path) -> None:
    """Parquet of tools without nullable integers has NaN for null; what is infinite is no offset."""
    frame = pl.DataFrame([ROW, ROW | {"value": 2}]).with_columns(offset=pl.Series([3.0, float("nan")]))
    frame.write_parquet(tmp_path / "nan.parquet")
    assert load(tmp_path / "nan.parquet").rows["offset"].to_list() == [3, None]
    frame.with_columns(offset=pl.Series([3.0, float("inf")])).write_parquet(tmp_path / "inf.parquet")
    with pytest.raises(BrokenRecording, match="has offset as Float64"):
        load(tmp_path / "inf.parquet")


@pytest.mark.parametrize(("column", "number"), [("offset", 1e300), ("value", 2.0**53), ("value", -(2.0**60))])
def test_floating_numbers_that_may_be_several_whole_ones_are_refused(
    tmp_path: Path, column: str, number: float
) -> None:
    """Two records would have one name; a time may be rounded by some ns."""
    path = write(tmp_path / "far.jsonl", ROW | {column: number})
    with pytest.raises(BrokenRecording, match=f"has {column} as Float64: write it as int64"):
        load(path)
    path = write(tmp_path / "near.jsonl", ROW | {"value": 2.0**53 - 1, "invoked_ns": 1.75e18})
    assert load(path).rows["value"].to_list() == [2**53 - 1]


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    """Some tools begin UTF-8 with it."""
    path = write(tmp_path / "marked.jsonl", ROW)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load(path).rows.height == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n \n", "has no rows, only blank lines"),
        (
            json.dumps(ROW) + "\n" + json.dumps(ROW | {"offset": float("nan")}),
            "broken line 2 .NaN is no JSON value",
        ),
        ('{"note": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deep in line 1"),
    ],
)
def test_a_file_of_nothing_and_a_number_that_is_none_are_told(tmp_path: Path, text: str, said: str) -> None:
    """The sentence names the line, not the reader's trouble with it."""
    path = tmp_path / "strange.jsonl"
    path.write_text(text)
    with pytest.raises(BrokenRecording, match=said):
        load(path)


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
        ({"clients": {"q": 0}}, "has 2 rows of p, recording.json says 0"),
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


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ({"rows": "2"}, "has rows as '2': write how many"),
        ({"clients": ["p"]}, "has clients as .* as an object of numbers"),
        ({"clients": {"p": "2"}}, "has clients as .* as an object of numbers"),
    ],
)
def test_counts_that_are_none_are_refused(tmp_path: Path, meta: dict[str, Any], said: str) -> None:
    """They would be passed over, and missing rows with them."""
    write(tmp_path / "recording.jsonl", ROW)
    (tmp_path / "recording.json").write_text(json.dumps(meta))
    with pytest.raises(BrokenRecording, match=said):
        load(tmp_path)


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


BEGIN = ROW | {
    "op": "begin",
    "topic": None,
    "partition": None,
    "offset": None,
    "value": None,
    "transaction": 3,
}
READ = ROW | {"op": "read"}
END = ROW | {"op": "log_end", "offset": 2, "value": None}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([BEGIN | {"transaction": None}], "has no transaction in row 0 of p, of op begin"),
        ([ROW, BEGIN | {"op": "end", "transaction": None}], "has no transaction in row 1 of p, of op end"),
        ([ROW | {"topic": None}], "has no topic in row 0 of p, of op send"),
        ([READ | {"partition": None}], "has no partition in row 0"),
        ([READ | {"op": "final", "offset": None}], "has no offset in row 0"),
        ([END | {"offset": None}], "has no offset in row 0"),
        ([ROW | {"invoked_ns": 5, "completed_ns": 4}], r"row 0 of p a send that was completed \(4\) before"),
        ([ROW, ROW], "row 1 of p a send that an earlier row tells in the same words"),
        ([ROW | {"invoked_ns": 2}, ROW | {"offset": 1}], "row 1 of p a send that was invoked before"),
        ([READ | {"invoked_ns": 2}, READ | {"offset": 1}], "row 1 of p a read that was invoked before"),
        ([END, END | {"offset": 3}], "has the log_end of orders-0 at isolation uncommitted as 2 and as 3"),
        (
            [END, END | {"op": "log_start", "offset": 3}],
            "has the log_start 3 of orders-0 .* behind its log_end 2",
        ),
        ([END, END | {"op": "reached", "offset": 3}], "has reached 3 of orders-0 .* behind its log_end 2"),
    ],
)
def test_rows_that_cannot_all_be_true_are_refused(
    tmp_path: Path, rows: list[dict[str, Any]], said: str
) -> None:
    """What says nothing, or contradicts itself, would be passed over or judged to a breach that nobody saw."""
    path = write(tmp_path / "unsound.jsonl", *rows)
    with pytest.raises(BrokenRecording, match=said):
        load(path)


@pytest.mark.parametrize(
    "rows",
    [
        [BEGIN, BEGIN | {"op": "inject", "transaction": None}, BEGIN | {"op": "revoke", "transaction": None}],
        [END | {"offset": None, "outcome": "info"}, END, END | {"isolation": "committed", "offset": 1}],
        [ROW | {"offset": None, "outcome": "info"}, ROW | {"offset": None, "outcome": "info"}],
        [ROW | {"row": 1, "invoked_ns": 2}, ROW | {"row": 2}],
        [ROW | {"invoked_ns": 2}, ROW | {"client": "q"}, READ],
        [ROW | {"row": 1}, ROW | {"row": 2}],
        [READ | {"op": "commit", "invoked_ns": 5, "completed_ns": 4, "group": "g"}],
    ],
)
def test_what_only_looks_like_a_contradiction_is_taken(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """Rows that our own clients write, several clients in one file, sends that nobody answered."""
    assert load(write(tmp_path / "sound.jsonl", *rows)).rows.height == len(rows)


def test_a_large_table_is_refused_for_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is judged part by part is looked at part by part; what our own recorder wrote is not."""
    monkeypatch.setattr(parts, "LARGE_ROWS", 1)
    rows = load(write(tmp_path / "good.jsonl", ROW | {"row": 0}, ROW | {"offset": 1, "row": 1})).rows
    rows = rows.with_columns(completed_ns=pl.col("invoked_ns") - 1)
    rows.write_parquet(tmp_path / "large.parquet")
    with pytest.raises(BrokenRecording, match="row 0 of p a send that was completed"):
        judge_file(tmp_path / "large.parquet", [no_acknowledged_loss])
    with pytest.raises(BrokenRecording, match="row 0 of p a send that was completed"):  # as a part may come
        refuse_contradictions(rows.reverse(), numbered=True, source="part")
    rows.write_parquet(tmp_path / "ours.parquet", metadata={"kafkaos.run": "ours"})
    judge_file(tmp_path / "ours.parquet", [no_acknowledged_loss])
