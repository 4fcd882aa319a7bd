"""Lines become rows: what Kafka's verifiable clients print, and our own words beside them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from kafkaos.apps.clock import Clock
from kafkaos.apps.output import Output
from kafkaos.apps.rows import Incarnation
from kafkaos.apps.truth import Truth
from kafkaos.errors import BrokenRecording
from kafkaos.history.payload import foreign_value
from kafkaos.history.reading import read_segments
from kafkaos.history.recorder import Recorder
from kafkaos.history.rows import Op

NOW_MS = time.time_ns() // 1_000_000


class Stage:
    """Lines of one incarnation, beside a final truth."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.final: list[tuple[int, int, bytes]] = []  # partition, offset, value

    def rows(self, *lines: dict[str, Any]) -> pl.DataFrame:
        out = self.folder / "app-0.out"
        out.write_text("".join(json.dumps({"timestamp": NOW_MS, **line}) + "\n" for line in lines))
        truth = self.folder / "final-reader-0.seg"
        with Recorder(
            truth, client="final-reader", incarnation=0, role="final", isolation="uncommitted"
        ) as final:
            for partition, offset, value in self.final:
                final.add(
                    Op.FINAL, topic="t", partition=partition, offset=offset, value=foreign_value(None, value)
                )
        clock = Clock(started_ns=0, wall_ahead_ns=time.time_ns() - time.monotonic_ns())
        made = Incarnation(number=0, output=Output(out, who="application 'app'"), clock=clock)
        path = self.folder / "app-0.seg"
        made.record(path, Truth([truth]), client="app", run="", group="g", isolation="committed")
        return read_segments([path])[0]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def sent(number: int, offset: int, **more: Any) -> dict[str, Any]:
    """As VerifiableProducer prints it."""
    line = {"name": "producer_send_success", "key": None, "value": str(number), "topic": "t", "partition": 0}
    return line | {"offset": offset} | more


def told(rows: pl.DataFrame, *names: str) -> list[tuple[Any, ...]]:
    return rows.select(*names).rows()


def test_a_verifiable_producer_that_was_killed_leaves_no_send_unsaid(stage: Stage) -> None:
    """Numbers without a line are unknown sends: all below the highest told, and those above that are in the log."""
    stage.final = [(0, 0, b"0"), (0, 1, b"2"), (0, 2, b"4"), (0, 3, b"not a number")]
    rows = stage.rows({"name": "startup_complete"}, sent(2, 1), sent(0, 0), {"name": "tool_data", "sent": 9})
    assert told(rows, "op", "value", "offset", "outcome") == [
        ("send", foreign_value(None, b"0"), 0, "ok"),
        ("send", foreign_value(None, b"1"), None, "info"),
        ("send", foreign_value(None, b"2"), 1, "ok"),
        ("send", foreign_value(None, b"4"), None, "info"),
    ]
    assert (rows["invoked_ns"] == 0).all()
    assert rows["completed_ns"].is_null().to_list() == [False, True, False, True]


def test_prefix_and_repeating_keys_name_the_unsaid_sends(stage: Stage) -> None:
    """The key of a number goes round, as --repeating-keys has it."""
    lines = [sent(n, n, value=f"7.{n}", key=str(n % 3)) for n in (0, 1, 2, 4)]
    rows = stage.rows(*lines)
    assert rows["value"].to_list() == [foreign_value(b"%d" % (n % 3), b"7.%d" % n) for n in range(5)]
    assert rows["key"].to_list() == [0, 1, 2, 0, 1]
    assert rows["outcome"].to_list() == ["ok", "ok", "ok", "info", "ok"]


def test_answers_that_are_no_series_stay_in_the_order_of_their_lines(stage: Stage) -> None:
    """Of an ordinary application nothing is made up."""
    rows = stage.rows(sent(0, 5, value="b"), sent(0, 4, value="a"))
    assert rows["value"].to_list() == [foreign_value(None, b"b"), foreign_value(None, b"a")]


@pytest.mark.parametrize(
    ("exception", "message", "outcome"),
    [
        ("class org.apache.kafka.common.errors.RecordTooLargeException", "", "fail"),
        (
            "class org.apache.kafka.common.errors.TimeoutException",
            "Topic t not present in metadata after 9.",
            "fail",
        ),
        (
            "class org.apache.kafka.common.errors.TimeoutException",
            "Expiring 1 record(s) for t-0:9 ms",
            "info",
        ),
        ("class org.apache.kafka.common.errors.NotEnoughReplicasException", "", "info"),
    ],
)
def test_an_error_is_a_failure_only_where_nothing_was_sent(
    stage: Stage, exception: str, message: str, outcome: str
) -> None:
    """What may have been appended stays unknown."""
    line = {"name": "producer_send_error", "topic": "t", "key": None, "value": "x", "exception": exception}
    assert stage.rows(line | {"message": message})["outcome"].to_list() == [outcome]


def test_a_send_line_is_the_begin_of_a_send(stage: Stage) -> None:
    """Each answer completes the oldest open send of that content; what stays open is unknown."""
    send = {"name": "send", "topic": "t", "key": "k", "value": "v"}
    rows = stage.rows(
        send, send, sent(0, 4, key="k", value="v"), {"name": "send", "topic": "t", "value": "w"}
    )
    assert told(rows, "op", "offset", "outcome") == [
        ("send", 4, "ok"), ("send", None, "info"), ("send", None, "info"),
    ]  # fmt: skip
    assert (rows["invoked_ns"] > 0).all()


def test_an_answer_to_nothing_is_an_error(stage: Stage) -> None:
    """An application that tells some of its sends only would make others look like phantoms."""
    with pytest.raises(BrokenRecording, match="never said it sent"):
        stage.rows({"name": "send", "topic": "t", "value": "v"}, sent(0, 4))


def test_a_verifiable_consumer_is_delivered_to_processes_and_commits(stage: Stage) -> None:
    """records_consumed is delivery and work; places get the values that lie there; rebalances and commits follow."""
    stage.final = [(0, 5, b"five"), (0, 6, b"six")]
    place = {"topic": "t", "partition": 0}
    rows = stage.rows(
        {"name": "partitions_assigned", "partitions": [place]},
        {
            "name": "records_consumed",
            "count": 2,
            "partitions": [place | {"count": 2, "minOffset": 5, "maxOffset": 6}],
        },
        {"name": "offsets_committed", "offsets": [place | {"offset": 7}], "success": True},
        {
            "name": "offsets_committed",
            "offsets": [place | {"offset": 7}],
            "success": False,
            "error": "rebalance",
        },
        {"name": "partitions_revoked", "partitions": [place]},
    )
    five, six = foreign_value(None, b"five"), foreign_value(None, b"six")
    assert told(rows, "op", "offset", "value", "outcome") == [
        ("assign", None, None, "ok"),
        ("read", 5, five, "ok"), ("process", 5, five, "ok"), ("read", 6, six, "ok"), ("process", 6, six, "ok"),
        ("commit", 7, None, "ok"), ("commit", 7, None, "info"), ("revoke", None, None, "ok"),
    ]  # fmt: skip
    assert set(rows["group"].to_list()) == {"g"}
    assert rows.filter(pl.col("op") == "read")["isolation"].to_list() == ["committed"] * 2


def test_a_commit_is_asked_for_after_the_line_before_it(stage: Stage) -> None:
    """Work told before a commit was done before that was asked for; work told after it was not."""
    place = {"topic": "t", "partition": 0}
    commit = {"name": "offsets_committed", "offsets": [place | {"offset": 1}], "success": True}
    rows = stage.rows(
        place | {"name": "process", "offset": 0, "timestamp": NOW_MS},
        commit | {"timestamp": NOW_MS},
        place | {"name": "process", "offset": 1, "timestamp": NOW_MS + 1},
    )
    commits = rows.filter(pl.col("op") == "commit")
    work = rows.filter(pl.col("op") == "process")["completed_ns"].to_list()
    assert work[0] <= commits["invoked_ns"].item() < work[1]
    assert commits["completed_ns"].item() > commits["invoked_ns"].item()


def test_gaps_between_offsets_are_filled_from_the_log_or_refused(stage: Stage) -> None:
    """A summary over a transaction marker stands for the records that lie there; where nobody knows, it is an error."""
    stage.final = [(0, 5, b"five"), (0, 7, b"seven")]
    place = {"topic": "t", "partition": 0}
    part = place | {"count": 2, "minOffset": 5, "maxOffset": 7}
    rows = stage.rows({"name": "records_consumed", "count": 2, "partitions": [part]})
    assert rows.filter(pl.col("op") == "process")["offset"].to_list() == [5, 7]
    (stage.folder / "final-reader-0.seg").unlink()
    (stage.folder / "app-0.seg").unlink()
    stage.final = []
    with pytest.raises(BrokenRecording, match="does not tell which"):
        stage.rows({"name": "records_consumed", "count": 2, "partitions": [part]})


def test_told_records_are_not_delivered_twice(stage: Stage) -> None:
    """record_data is the delivery, what follows is the work; one killed between them was not processed."""
    data = {"name": "record_data", "topic": "t", "partition": 0, "key": None}
    rows = stage.rows(
        data | {"offset": 0, "value": "a"},
        {"name": "records_consumed", "count": 1, "partitions": [
            {"topic": "t", "partition": 0, "count": 1, "minOffset": 0, "maxOffset": 0}]},
        data | {"offset": 1, "value": "b"},
        {"name": "process", "topic": "t", "partition": 0, "offset": 1},
        data | {"offset": 2, "value": "c"},
    )  # fmt: skip
    assert told(rows, "op", "offset") == [
        ("read", 0),
        ("process", 0),
        ("read", 1),
        ("process", 1),
        ("read", 2),
    ]
    assert rows["value"].to_list() == [foreign_value(None, v) for v in (b"a", b"a", b"b", b"b", b"c")]


def test_sends_between_begin_and_end_belong_to_the_transaction(stage: Stage) -> None:
    """A committed transaction is ok, an aborted one fail, an unconfirmed one unknown."""
    rows = stage.rows(
        {"name": "begin", "transaction": 1},
        {"name": "send", "topic": "t", "value": "v"},
        sent(0, 0, value="v"),
        {"name": "end", "transaction": 1, "outcome": "committed"},
        {"name": "begin", "transaction": 2},
        {"name": "end", "transaction": 2, "outcome": "unknown"},
        {"name": "send", "topic": "t", "value": "w"},
    )
    assert told(rows, "op", "transaction", "outcome") == [
        ("begin", 1, "ok"), ("send", 1, "ok"), ("end", 1, "ok"),
        ("begin", 2, "ok"), ("end", 2, "info"), ("send", None, "info"),
    ]  # fmt: skip


def test_a_transaction_that_its_application_left_open_has_an_unknown_end(stage: Stage) -> None:
    """It may have been killed between its commit and the line of it: asked for at any time since it began."""
    rows = stage.rows(
        {"name": "begin", "transaction": 1, "timestamp": NOW_MS - 100},
        {"name": "send", "topic": "t", "value": "v", "timestamp": NOW_MS},
    )
    assert told(rows, "op", "transaction", "outcome") == [
        ("begin", 1, "ok"), ("send", 1, "info"), ("end", 1, "info"),
    ]  # fmt: skip
    begin, end = (rows.filter(op=op).row(0, named=True) for op in ("begin", "end"))
    assert (end["invoked_ns"], end["completed_ns"]) == (begin["invoked_ns"], None)


def test_the_end_of_a_transaction_may_have_been_asked_for_since_the_line_before(stage: Stage) -> None:
    """A record may be read before the line of its commit is printed, and is not early for that."""
    rows = stage.rows(
        {"name": "begin", "transaction": 1, "timestamp": NOW_MS - 100},
        {"name": "end", "transaction": 1, "outcome": "committed", "timestamp": NOW_MS},
    )
    begin, end = (rows.filter(op=op).row(0, named=True) for op in ("begin", "end"))
    assert end["invoked_ns"] == begin["invoked_ns"] < end["completed_ns"]
