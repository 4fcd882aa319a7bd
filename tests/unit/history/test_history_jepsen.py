"""Histories of Jepsen's Kafka workload, and lines of Kafka's verifiable clients, imported and judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kafkaos.cli import execute
from kafkaos.errors import EXIT_BROKE, EXIT_HELD, EXIT_UNKNOWN, BrokenRecording
from kafkaos.history.edn import read_edn
from kafkaos.history.jepsen import read_history

# As Jepsen writes it: a lost write (2 at offset 1 was acknowledged, 3 behind it was polled) and an aborted read (9).
HISTORY = """\
{:type :invoke, :f :send, :value [[:send 4 1]], :process 0, :time 1000, :index 0}
{:type :ok, :f :send, :value [[:send 4 [0 1]]], :process 0, :time 2000, :index 1}
{:type :info, :f :kill, :value nil, :process :nemesis, :time 2500, :index 2}
{:type :invoke, :f :txn, :value [[:send 4 2] [:send 5 7]], :process 1, :time 3000, :index 3}
{:type :ok, :f :txn, :value [[:send 4 [1 2]] [:send 5 [0 7]]], :process 1, :time 4000, :index 4}
{:type :invoke, :f :send, :value [[:send 4 3]], :process 0, :time 5000, :index 5}
{:type :ok, :f :send, :value [[:send 4 [2 3]]], :process 0, :time 6000, :index 6}
{:type :invoke, :f :txn, :value [[:send 5 9]], :process 1, :time 7000, :index 7}
{:type :fail, :f :txn, :value [[:send 5 9]], :error [:abort "on purpose"], :process 1, :time 8000, :index 8}
{:type :invoke, :f :poll, :value [[:poll]], :process 2, :time 9000, :index 9}
{:type :ok, :f :poll, :value [[:poll {4 [[0 1] %s[2 3]], 5 [[0 7] %s]}]], :process 2, :time 9500, :index 10}
{:type :invoke, :f :poll, :value [[:poll]], :process 3, :time 9600, :index 11}
"""
LOST, ABORTED = ("", ""), ("[1 2] ", "[2 9]")


def judge(folder: Path, *, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    capsys.readouterr()
    execute(["check", str(folder), "--json"])
    verdicts = json.loads(capsys.readouterr().out)["recordings"][0]["verdicts"]
    return {verdict["guarantee"]: verdict["status"] for verdict in verdicts}


@pytest.mark.parametrize(
    ("fill", "broken"),
    [
        (("[1 2] ", ""), set()),
        (LOST, {"no_acknowledged_loss", "atomic_transactions"}),
        (ABORTED, {"no_aborted_read"}),
    ],
)
def test_jepsen_s_anomalies_are_found_and_a_healthy_history_breaks_nothing(
    fill: tuple[str, str], broken: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A lost write of a transaction and an aborted read, each alone."""
    (tmp_path / "history.edn").write_text(HISTORY % fill)
    out = tmp_path / "run"
    assert execute(["import", "jepsen", str(tmp_path / "history.edn"), "--out", str(out)]) == EXIT_HELD
    found = judge(out, capsys=capsys)
    assert {name for name, status in found.items() if status == "fail"} == broken


def test_the_same_history_as_json_has_the_same_rows(tmp_path: Path) -> None:
    """Op maps in JSON lines are read as those in EDN, whatever text is in them: U+2028 ends no line of JSON."""
    (tmp_path / "history.edn").write_text(HISTORY % LOST)
    ops = [{**op, "error": "one\u2028two"} for op in read_edn(HISTORY % LOST)]
    lines = "".join(json.dumps(op, ensure_ascii=False) + "\n" for op in ops)
    (tmp_path / "history.jsonl").write_text(lines, encoding="utf-8")
    assert read_history(tmp_path / "history.jsonl").equals(read_history(tmp_path / "history.edn"))


@pytest.mark.parametrize(
    "text", ["{:type :invoke", "}", "{:a}", "", "[1 2 3]", "{:type :invoke, :process 0}"]
)
def test_what_is_no_history_is_refused(text: str, tmp_path: Path) -> None:
    """Cut, broken or of something else: an error that names the file."""
    (tmp_path / "history.edn").write_text(text)
    with pytest.raises(BrokenRecording, match=r"history\.edn"):
        read_history(tmp_path / "history.edn")


def test_edn_s_values_are_read() -> None:
    """Keywords, strings, numbers, sets, tags and comments."""
    text = '{:a [1 -2.5 nil true "x\\"y"] ; so\n, :b #{3} :c #inst "2020" :d 7N}'
    assert list(read_edn(text)) == [{"a": [1, -2.5, None, True, 'x"y'], "b": [3], "c": "2020", "d": 7}]


def test_lines_of_verifiable_clients_become_a_recording(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Sends that were acknowledged in falling order, and what a consumer was given, are judged."""
    place = {"topic": "orders", "partition": 0}
    producer = [
        {
            "timestamp": 1_000 + n,
            "name": "producer_send_success",
            "key": None,
            "value": str(n),
            "offset": offset,
        }
        | place
        for n, offset in enumerate([1, 0, 2])
    ]
    consumer = [
        {"timestamp": 2_000 + n, "name": "record_data", "key": None, "value": str(value), "offset": n} | place
        for n, value in enumerate([1, 0, 2])
    ]
    for name, lines in (("producer", producer), ("consumer", consumer)):
        (tmp_path / f"{name}.log").write_text("".join(json.dumps(line) + "\n" for line in lines))
    files = [str(tmp_path / f"{name}.log") for name in ("producer", "consumer")]
    out = tmp_path / "run"
    assert execute(["import", "verifiable", *files, "--out", str(out), "--group", "g"]) == EXIT_HELD
    found = judge(out, capsys=capsys)
    assert (found["producer_order"], found["offsets_agree"], found["reader_order"]) == (
        "fail",
        "pass",
        "pass",
    )
    assert execute(["check", str(out)]) == EXIT_BROKE
    (tmp_path / "empty.log").write_text("hello\n")
    assert execute(["import", "verifiable", files[0] + "x", "--out", str(tmp_path / "no")]) != EXIT_HELD
    assert (
        execute(["import", "verifiable", str(tmp_path / "empty.log"), "--out", str(tmp_path / "e")])
        == EXIT_UNKNOWN
    )
