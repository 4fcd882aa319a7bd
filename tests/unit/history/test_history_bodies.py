"""Whole records and models beside a run's rows: written, read back, compared, and broken ones told."""

import base64
import json
from pathlib import Path

import pytest

from kafkaos.checks import Status, exactly_once, matches_model
from kafkaos.checks.healthy import healthy
from kafkaos.errors import BrokenRecording, WrongUse
from kafkaos.history.bodies import load_bodies, load_models, write_model
from kafkaos.history.recording import Recording
from kafkaos.traffic.bodies import Body, keep_bodies


def kept(folder: Path, topic: str, *records: tuple[str | None, str | None]) -> None:
    """Records of one partition as a run keeps them."""
    bodies = [
        Body(0, at, 0, key.encode() if key else None, None if value is None else value.encode(), [])
        for at, (key, value) in enumerate(records)
    ]
    keep_bodies(bodies, folder / "bodies" / f"{topic}.jsonl")


def recording(folder: Path) -> Recording:
    return Recording(rows=healthy().rows, bodies=load_bodies(folder), models=load_models(folder))


def test_equal_json_is_equal_however_it_was_written(tmp_path):
    """Order of fields, spaces and trailing zeros make no difference; keys, tombstones and numbers do."""
    kept(tmp_path, "out", ("1", '{"price": 13.40, "id": 2}'), (None, '"é"'), ("2", None))
    write_model(
        [(None, "é"), ("2", None), ("1", {"id": 2, "price": 13.4})], tmp_path / "models" / "out.jsonl"
    )
    verdict = matches_model(topic="out").judge(recording(tmp_path))
    assert verdict.status is Status.PASS, verdict.witnesses


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("1", '{"id":3}', 'out-0 has at offset 0, what the model does not expect: key 1, {"id":3}.'),
        ("9", '{"id":2}', "key 9"),
        ("1", '{"id":2', 'not JSON: {"id":2.'),
        ("1", None, "key 1, null."),
    ],
)
def test_what_differs_is_told_from_both_sides(tmp_path, key, value, said):
    """A witness names the record that is there instead, and one the record that is missing."""
    kept(tmp_path, "out", (key, value))
    write_model([("1", {"id": 2})], tmp_path / "models" / "out.jsonl")
    verdict = matches_model(topic="out").judge(recording(tmp_path))
    assert verdict.status is Status.FAIL
    assert said in verdict.witnesses[0].sentence
    assert verdict.witnesses[1].sentence == 'out lacks what the model expects: key 1, {"id":2}.'


def test_a_record_too_often_is_told_with_its_number(tmp_path):
    """Multisets: the third of two expected equal records is a breach, and is told as the third."""
    kept(tmp_path, "out", *[("1", "5")] * 3)
    write_model([("1", 5)] * 2, tmp_path / "models" / "out.jsonl")
    verdict = matches_model().judge(recording(tmp_path))
    assert verdict.counts == {"expected": 2, "found": 3, "missing": 0, "unexpected": 1}
    assert "at offset 2, for the 3. time" in verdict.witnesses[0].sentence


def test_nothing_to_compare_is_unknown(tmp_path):
    """No model, no records, or both empty: nothing was shown."""
    empty = recording(tmp_path)
    assert matches_model().judge(empty).status is Status.UNKNOWN
    assert matches_model(topic="out").judge(empty).status is Status.UNKNOWN
    assert exactly_once(source="in", sink="out").judge(empty).status is Status.UNKNOWN
    write_model([], tmp_path / "models" / "out.jsonl")
    kept(tmp_path, "out")
    kept(tmp_path, "in")
    assert matches_model().judge(recording(tmp_path)).status is Status.UNKNOWN
    assert exactly_once(source="in", sink="out").judge(recording(tmp_path)).status is Status.UNKNOWN


def test_exactly_once_counts_by_the_fields_that_input_and_output_share(tmp_path):
    """Two equal inputs have two outputs; the third is a duplicate, and an input without output is lost."""
    kept(tmp_path, "in", *[(None, '{"id":1,"price":2}')] * 2, (None, '{"id":7,"price":1}'))
    made = '{"id":1,"name":"a","price":2.0}', '{"price":2,"id":1,"name":"b"}'
    by = exactly_once(source="in", sink="out", by=("id", "price"))
    kept(tmp_path, "out", *[("1", made[1])] * 3)
    verdict = by.judge(recording(tmp_path))
    assert verdict.counts == {"inputs": 3, "outputs": 3, "lost": 1, "duplicated": 1, "without_input": 0}
    assert "at offset 2" in verdict.witnesses[0].sentence
    assert "2 inputs of its kind, and output 0/0 already" in verdict.witnesses[0].sentence
    assert verdict.witnesses[1].sentence.startswith("in-0 has at offset 2")
    kept(tmp_path, "out", *[("1", made[1])] * 2, ("7", '{"id":7,"price":1}'))
    assert by.judge(recording(tmp_path)).status is Status.PASS


def test_a_broken_line_is_a_broken_recording(tmp_path):
    """Half a line names its file and number, and nothing is judged."""
    path = tmp_path / "models" / "out.jsonl"
    write_model([("1", 5)], path)
    path.write_text(path.read_text() + '{"key": "1", "val')
    with pytest.raises(BrokenRecording, match=r"out\.jsonl is broken in line 2"):
        load_models(tmp_path)
    path.write_text(json.dumps({"key": None}))
    with pytest.raises(BrokenRecording, match="KeyError"):
        load_models(tmp_path)


def test_a_model_takes_plain_json_only(tmp_path):
    """A value that JSON has no word for is the scenario's mistake."""
    for value in (float("nan"), b"bytes"):
        with pytest.raises(WrongUse, match="must be plain JSON"):
            write_model([(None, value)], tmp_path / "out.jsonl")


def test_lines_end_where_a_line_ends(tmp_path):
    """U+2028 in a value is no end of a line, a blank line is no record, and a key may be left out."""
    folder = tmp_path / "bodies"
    folder.mkdir()
    line = '{"partition": 0, "offset": 0, "value": "\\"a\u2028b\\""}'
    (folder / "out.jsonl").write_text(f"\n{line}\n\n", encoding="utf-8")
    (models := tmp_path / "models").mkdir()
    (models / "out.jsonl").write_text('{"value": "a\u2028b"}\n \n', encoding="utf-8")
    verdict = matches_model(topic="out").judge(recording(tmp_path))
    assert (verdict.status, verdict.counts["expected"]) == (Status.PASS, 1), verdict.witnesses


def test_numbers_are_compared_by_value(tmp_path):
    """A whole number is the same with a point behind it, at any depth."""
    kept(tmp_path, "out", (None, '{"sums": [1.0, {"x": 2}], "t": true}'), (None, "-0.0"))
    write_model([(None, {"sums": [1, {"x": 2.0}], "t": True}), (None, 0)], tmp_path / "models" / "out.jsonl")
    assert matches_model().judge(recording(tmp_path)).status is Status.PASS
    write_model([(None, {"sums": [1, {"x": 2.5}], "t": 1}), (None, 0)], tmp_path / "models" / "out.jsonl")
    assert matches_model().judge(recording(tmp_path)).counts["missing"] == 1


def test_bytes_are_what_they_say_however_they_were_written(tmp_path):
    """Whoever writes all in base64 means the same records; only what is no text stays as it is, and is no JSON."""

    def lines(name: str, *values: bytes | str) -> None:
        path = tmp_path / name / "out.jsonl"
        path.parent.mkdir(exist_ok=True)
        for value in values:
            given = {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
            with path.open("a") as file:
                file.write(json.dumps({"partition": 0, "offset": 0, "key": given, "value": given}) + "\n")

    lines("bodies", b"7", b"\xff")
    write_model([("7", 7), ('{"base64":"/w=="}', {"base64": "/w=="})], tmp_path / "models" / "out.jsonl")
    verdict = matches_model(topic="out").judge(recording(tmp_path))
    assert (verdict.counts["missing"], "not JSON" in verdict.witnesses[0].sentence) == (1, True)
    lines("bodies", b'{"id": 1, "made": 2}')
    (tmp_path / "bodies" / "in.jsonl").write_text('{"partition": 0, "offset": 0, "value": "{\\"id\\": 1}"}')
    verdict = exactly_once(source="in", sink="out", by=("id",)).judge(recording(tmp_path))
    assert (verdict.counts["lost"], verdict.counts["without_input"]) == (0, 2)


def test_records_that_share_no_field_are_not_alike(tmp_path):
    """A field that nobody has would make one record as good as any other."""
    kept(tmp_path, "in", (None, '{"id":1}'))
    kept(tmp_path, "out", (None, '{"id":2}'))
    verdict = exactly_once(source="in", sink="out", by=("nobody",)).judge(recording(tmp_path))
    assert verdict.status is Status.FAIL


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"partition": 0, "offset": 0, "key": null, "value": "\xff"}\n', "is not UTF-8"),
        (
            b'{"partition": 0, "offset": "x", "key": null, "value": "1"}\n',
            "is broken in line 1 .*'x' is none",
        ),
        (b'{"partition": 0, "offset": 0, "value": {"id": 1}}\n', "is broken in line 1 .* are text, null or"),
        (b'{"partition": 0, "offset": 0, "value": {"base64": "%"}}\n', "is broken in line 1"),
        (b'{"partition": 0, "offset": 0, "value": ' + b"[" * 100_000 + b"\n", "is broken in line 1"),
        (b'{"partition": 4294967296, "offset": 0, "value": "1"}\n', "is broken in line 1"),
        (b'{"partition": null, "offset": 0, "key": null, "value": "1"}\n', "is broken in line 1"),
    ],
)
def test_bodies_that_nobody_can_place_are_broken(tmp_path, text, said):
    """One such file is told, and does not take the verdicts of its neighbours along."""
    (tmp_path / "bodies").mkdir()
    (tmp_path / "bodies" / "out.jsonl").write_bytes(text)
    with pytest.raises(BrokenRecording, match=said):
        load_bodies(tmp_path)
