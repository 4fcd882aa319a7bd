"""Loading and archiving: the same rows from every form, and no damaged recording is taken for a whole one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kafkaos.checks import Status, from_json
from kafkaos.errors import BrokenRecording, WrongUse
from kafkaos.history import archive, load, write_meta
from kafkaos.history.columns import REQUIRED, SCHEMA
from kafkaos.history.events import EventLog
from kafkaos.history.recorder import Recorder
from kafkaos.history.rows import Op, Outcome
from kafkaos.history.segment import ROWS_AT

DOCS = Path(__file__).parents[3] / "docs" / "recording.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's folder with a producer's three parts and a consumer's segment."""
    segments = tmp_path / "run" / "segments"
    segments.mkdir(parents=True)
    write_meta(tmp_path / "run", {"run": "r1", "seed": 7})
    with EventLog(tmp_path / "run" / "events.jsonl") as log:
        log.phase("setup")
    producer = {"client": "p", "incarnation": 0, "role": "producer", "run": "r1"}
    with Recorder(segments / "p-0.seg", capacity_rows=10, **producer) as writer:  # type: ignore[arg-type]
        for value in range(25):
            writer.complete(
                writer.begin(Op.SEND, topic="orders", partition=0, value=value), Outcome.OK, offset=value
            )
    with Recorder(segments / "c-0.seg", client="c", incarnation=0, role="consumer", run="r1") as writer:
        writer.add(Op.READ, topic="orders", partition=0, offset=1, value=1)
    return tmp_path / "run"


def test_the_archive_holds_the_same_as_the_segments(folder: Path) -> None:
    """Archiving loses nothing, notes the count, and deletes the segments."""
    before = load(folder)
    archive(folder)
    after = load(folder)
    assert before.rows.equals(after.rows)
    assert after.rows.schema == pl.Schema(SCHEMA)
    assert (after.meta["seed"], after.meta["rows"], after.meta["run"]) == (7, 26, "r1")
    assert [event.name for event in after.events] == ["setup"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "events.jsonl",
        "recording.json",
        "recording.parquet",
    ]


def test_archiving_twice_is_harmless(folder: Path) -> None:
    """A second call finds the archive and changes nothing."""
    archive(folder)
    first = (folder / "recording.parquet").read_bytes()
    archive(folder)
    assert (folder / "recording.parquet").read_bytes() == first


def test_archiving_goes_on_where_it_was_killed(folder: Path) -> None:
    """Killed between archive and deletion, the next call deletes; the rows are never counted twice."""
    kept = {path: path.read_bytes() for path in (folder / "segments").iterdir()}
    archive(folder)
    (folder / "segments").mkdir()
    for path, content in kept.items():
        path.write_bytes(content)
    assert load(folder).rows.height == 26
    archive(folder)
    assert load(folder).rows.height == 26
    assert not (folder / "segments").exists()


def test_the_forms_of_one_file_are_the_same(folder: Path, tmp_path: Path) -> None:
    """A run's rows as one Parquet or JSON-lines file load as the folder does."""
    rows = load(folder).rows
    rows.write_parquet(tmp_path / "alone.parquet")
    rows.write_ndjson(tmp_path / "alone.jsonl")
    assert load(tmp_path / "alone.parquet").rows.equals(rows)
    assert load(tmp_path / "alone.jsonl").rows.equals(rows)


def test_the_example_in_the_docs_is_judged_as_it_says(tmp_path: Path) -> None:
    """The documented lines load, and the record that they lack is the one that is lost."""
    lines = re.search(r"```jsonl\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert lines is not None
    example = tmp_path / "example.jsonl"
    example.write_text(lines[1])
    verdict = from_json("no_acknowledged_loss").judge(load(example))
    assert verdict.status is Status.FAIL
    assert [witness.value for witness in verdict.witnesses] == [2]


def test_the_docs_name_every_column_and_whether_it_is_required() -> None:
    """The table of columns is the schema."""
    table = re.findall(
        r"^\| `(\w+)` \| (\w+) \| [^|]*\|.*\| ([^|]*) \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE
    )
    documented = {name: (kind, missing == "required") for name, kind, missing in table}
    names = {"Int64": "int64", "Int32": "int32", "Int16": "int16", "Boolean": "bool"}
    expected = {name: (names.get(str(kind), "string"), name in REQUIRED) for name, kind in SCHEMA.items()}
    documented.pop("run")
    assert documented == expected


def _cut(name: str, *, size: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "segments" / name
        path.write_bytes(path.read_bytes()[:size])

    return damage


def _poke(at: int, byte: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "segments" / "c-0.seg"
        content = bytearray(path.read_bytes())
        content[at] = byte
        path.write_bytes(bytes(content))

    return damage


def _other_run(folder: Path) -> None:
    Recorder(folder / "segments" / "x.seg", client="x", incarnation=0, role="producer", run="r2").close()


def _twice(folder: Path) -> None:
    (folder / "segments" / "copy.seg").write_bytes((folder / "segments" / "c-0.seg").read_bytes())


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_cut("c-0.seg", size=0), "c-0.seg is cut off"),
        (_cut("c-0.seg", size=100), "c-0.seg is cut off"),
        (_cut("p-0.seg", size=ROWS_AT + 90), "p-0.seg is cut off"),
        (_poke(0, 0), "c-0.seg is not a segment"),
        (_poke(8, 9), "format 9"),
        (_poke(64, 0), "broken header"),
        (_poke(ROWS_AT + 1, 77), "unknown operation 77"),
        (_poke(ROWS_AT + 2, 9), "unknown outcome"),
        (_poke(ROWS_AT, 0), "0 whole rows, its header says 1"),
        (_poke(ROWS_AT, 4), "unknown state"),
        (_poke(ROWS_AT + 64, 50), "topic that its table lacks"),
        (lambda folder: (folder / "segments" / "p-0.1.seg").unlink(), r"parts \[0, 2\]"),
        (_twice, r"parts \[0, 0\]"),
        (_other_run, "of run r2"),
    ],
)
def test_a_damaged_segment_is_told_and_neither_loaded_nor_archived(
    folder: Path, damage: Callable[[Path], None], said: str
) -> None:
    """Every damage is a broken recording whose message names the file, and the segments stay."""
    damage(folder)
    before = sorted((folder / "segments").iterdir())
    for use in (load, archive):
        with pytest.raises(BrokenRecording, match=said):
            use(folder)
    assert sorted((folder / "segments").iterdir()) == before
    assert not (folder / "recording.parquet").exists()


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("recording.json", '{"run": "r9"}', "of run r9, the rows are of run r1"),
        ("recording.json", "{", "recording.json is not JSON"),
        ("recording.json", "[]", "not a JSON object"),
        ("recording.parquet", "", "recording.parquet is empty"),
        ("events.jsonl", "{}\n", "events.jsonl is broken in line 1"),
    ],
)
def test_a_folder_whose_files_do_not_fit_is_told(folder: Path, file: str, content: str, said: str) -> None:
    """A file of another run, or a broken one, beside good rows is a broken recording."""
    (folder / file).write_text(content)
    for use in (load, archive):
        with pytest.raises(BrokenRecording, match=said):
            use(folder)
    assert list((folder / "segments").glob("*.seg"))


@pytest.mark.parametrize("size", [0, 10, 1000])
def test_a_cut_archive_is_told(folder: Path, size: int) -> None:
    """Half an archive is no recording."""
    archive(folder)
    path = folder / "recording.parquet"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(BrokenRecording, match=r"recording\.parquet"):
        load(folder)


def test_an_archive_with_fewer_rows_than_noted_is_in_doubt(folder: Path) -> None:
    """A swapped archive is judged for breaches, and nothing of it may be called held."""
    archive(folder)
    rows = load(folder).rows
    assert not load(folder).doubt
    rows.head(20).write_parquet(folder / "recording.parquet")
    assert "has 20 rows, recording.json says 26" in load(folder).doubt


def test_segments_fewer_than_noted_are_not_archived(folder: Path) -> None:
    """Archiving must not write a smaller count over the one that tells that rows are missing."""
    (folder / "recording.json").write_text('{"rows": 27}')
    with pytest.raises(BrokenRecording, match=r"26 rows, recording\.json says 27"):
        archive(folder)
    assert "has 26 rows, recording.json says 27" in load(folder).doubt


def test_a_draft_that_a_killed_writer_left_is_ignored(folder: Path) -> None:
    """A segment under its draft's name never had a row."""
    (folder / "segments" / "p-0.3.seg.tmp").write_bytes(b"half a header")
    assert load(folder).rows.height == 26


def test_a_folder_without_rows_is_told(tmp_path: Path) -> None:
    """An empty folder is no recording, a wrong path is wrong use."""
    with pytest.raises(BrokenRecording, match="neither"):
        load(tmp_path)
    with pytest.raises(WrongUse, match="there is no recording"):
        load(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(WrongUse, match="is no recording"):
        load(tmp_path / "notes.txt")


LINE: dict[str, Any] = {
    "client": "p", "op": "send", "topic": "orders", "partition": 0, "offset": 0, "value": 1, "outcome": "ok",
    "invoked_ns": 5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"op": "sned"}, "'sned' in row 1.*known are send"),
        ({"outcome": "maybe"}, "'maybe' in row 1"),
        ({"op": None}, "no op in row 1"),
        ({"invoked_ns": None}, "no invoked_ns in row 1"),
        ({"offset": "one"}, "offset as String: write it as int64"),
        ({"offset": 1.5}, "offset as Float64"),
        ({"partition": 1 << 40}, "partition 1099511627776 in row 1"),
        ({"corrupt": "no"}, "corrupt as String"),
        ({"run": "r2"}, "mixes the runs"),
    ],
)
def test_a_foreign_file_with_a_wrong_value_is_told(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """The column and the first wrong value are named."""
    path = tmp_path / "foreign.jsonl"
    lines = [LINE | {"run": "r1"}, LINE | {"run": "r1"} | change]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(BrokenRecording, match=said) as told:
        load(path)
    assert "foreign.jsonl" in str(told.value)


@pytest.mark.parametrize("column", REQUIRED)
def test_a_foreign_file_without_a_required_column_is_told(tmp_path: Path, column: str) -> None:
    """The missing column is named."""
    path = tmp_path / "foreign.parquet"
    pl.DataFrame([LINE]).drop(column).write_parquet(path)
    with pytest.raises(BrokenRecording, match=f"no column {column}"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"\n", b"{half", b'{"client": 1}\n'])
@pytest.mark.parametrize("name", ["foreign.jsonl", "foreign.parquet"])
def test_a_foreign_file_that_is_no_table_is_told(tmp_path: Path, name: str, content: bytes) -> None:
    """Empty, cut and foreign files are broken recordings."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BrokenRecording, match=name):
        load(path)


def test_missing_columns_get_their_defaults(tmp_path: Path) -> None:
    """A missing completion is the invocation, but not of an acknowledged or unknown send; order is the file's."""
    path = tmp_path / "foreign.jsonl"
    lines = [LINE, LINE | {"outcome": "info"}, LINE | {"op": "read", "incarnation": 2}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = load(path).rows
    assert rows["completed_ns"].to_list() == [None, None, 5]
    assert rows["row"].to_list() == [0, 1, 2]
    assert rows["incarnation"].to_list() == [0, 0, 2]
    assert rows["corrupt"].to_list() == [False] * 3
