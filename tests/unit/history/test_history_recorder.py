"""The recorder: what was written is read back, whole, however the writer ended."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from kafkaos.errors import WrongUse
from kafkaos.history import load
from kafkaos.history.recorder import Recorder
from kafkaos.history.rows import FLAG_CORRUPT, NULL, Op, Outcome


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    (tmp_path / "segments").mkdir()
    return tmp_path / "segments" / "producer-0.seg"


def recorder(path: Path, *, capacity_rows: int = 1000) -> Recorder:
    return Recorder(
        path, client="producer", incarnation=2, role="producer", run="r1", capacity_rows=capacity_rows
    )


def rows_of(segment: Path) -> pl.DataFrame:
    return load(segment.parent.parent).rows


def test_a_completed_send_is_read_back_with_all_its_fields(segment: Path) -> None:
    """What was begun and completed comes back, with nulls where nothing was said."""
    with recorder(segment) as writer:
        handle = writer.begin(Op.SEND, topic="orders", value=7, key=3, sequence=5)
        writer.complete(handle, Outcome.OK, offset=11, partition=1, leader_epoch=4)
    row = rows_of(segment).row(0, named=True)
    assert row["completed_ns"] >= row["invoked_ns"] > 0
    assert {name: row[name] for name in row if not name.endswith("_ns")} == {
        "client": "producer",
        "incarnation": 2,
        "role": "producer",
        "group": None,
        "row": 0,
        "op": "send",
        "topic": "orders",
        "partition": 1,
        "offset": 11,
        "value": 7,
        "key": 3,
        "sequence": 5,
        "transaction": None,
        "leader_epoch": 4,
        "generation": None,
        "outcome": "ok",
        "error": 0,
        "corrupt": False,
        "isolation": None,
        "transactional_id": None,
    }


def test_a_send_that_was_never_completed_is_info(segment: Path) -> None:
    """Unknown is the default, not success and not failure."""
    with recorder(segment) as writer:
        writer.begin(Op.SEND, topic="orders", partition=0, value=7)
    row = rows_of(segment).row(0, named=True)
    assert (row["outcome"], row["completed_ns"], row["offset"]) == ("info", None, None)


def test_a_failed_send_keeps_its_error_code(segment: Path) -> None:
    """The client library's own codes are negative."""
    with recorder(segment) as writer:
        writer.complete(writer.begin(Op.SEND, topic="orders", value=7), Outcome.FAIL, error=-192)
    row = rows_of(segment).row(0, named=True)
    assert (row["outcome"], row["error"]) == ("fail", -192)


def test_blocks_span_segments_in_program_order(segment: Path) -> None:
    """A full segment goes on in a further one, nothing is lost, and the rows keep their numbers."""
    values = np.arange(250, dtype=np.int64)
    with recorder(segment, capacity_rows=20) as writer:
        handles = writer.begin_block(Op.SEND, topic="orders", values=values, sequences=values, partition=2)
        outcomes = np.where(values % 2 == 0, Outcome.OK, Outcome.FAIL).astype(np.uint8)
        writer.complete_block(
            handles[:200], outcomes[:200], offsets=values[:200] * 3, partitions=values[:200] % 5
        )
        writer.add(Op.READ, topic="payments", partition=0, offset=1)
    assert len(list(segment.parent.iterdir())) == 13
    rows = rows_of(segment).sort("row")
    sends = rows.head(250)
    assert rows["row"].to_list() == list(range(251))
    assert sends["value"].to_list() == values.tolist()
    assert sends["outcome"].to_list() == ["ok", "fail"] * 100 + ["info"] * 50
    assert sends["offset"].to_list() == [value * 3 for value in range(200)] + [None] * 50
    assert sends["partition"].to_list() == [value % 5 for value in range(200)] + [2] * 50
    assert rows["topic"].to_list() == ["orders"] * 250 + ["payments"]


def test_whole_rows_are_added_as_a_block(segment: Path) -> None:
    """A reader fills rows and adds them at once, each with its own topic and flags."""
    with Recorder(
        segment, client="c", incarnation=0, role="consumer", group="g", isolation="committed"
    ) as writer:
        rows = writer.blank(2)
        rows["op"] = Op.READ
        rows["outcome"] = Outcome.OK
        rows["topic"] = [writer.topic_number("orders"), writer.topic_number("payments")]
        rows["flags"] = [0, FLAG_CORRUPT]
        writer.add_block(rows)
    found = rows_of(segment)
    assert found["topic"].to_list() == ["orders", "payments"]
    assert found["corrupt"].to_list() == [False, True]
    assert found["isolation"].to_list() == ["committed", "committed"]
    assert found["group"].to_list() == ["g", "g"]
    assert found["value"].to_list() == [None, None]


def test_isolation_is_told_of_reads_and_of_nothing_else(segment: Path) -> None:
    """An assignment has no isolation level."""
    with Recorder(segment, client="c", incarnation=0, role="consumer", isolation="committed") as writer:
        writer.add(Op.READ, topic="orders", partition=0, offset=0)
        writer.add(Op.ASSIGN, topic="orders", partition=0)
    assert rows_of(segment)["isolation"].to_list() == ["committed", None]


def test_threads_share_a_recorder(segment: Path) -> None:
    """Two threads never write one row, also where segments change."""

    def write(first: int) -> None:
        for value in range(first, first + 500):
            writer.complete(writer.begin(Op.SEND, topic=f"t{first}", value=value), Outcome.OK, offset=value)

    with recorder(segment, capacity_rows=64) as writer:
        threads = [threading.Thread(target=write, args=(first,)) for first in (0, 1000, 2000)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    rows = rows_of(segment)
    expected = [value for first in (0, 1000, 2000) for value in range(first, first + 500)]
    assert sorted(rows["value"].to_list()) == expected
    assert (rows["offset"] == rows["value"]).all()
    assert (rows["topic"].cast(pl.String) == pl.Series([f"t{v // 1000 * 1000}" for v in rows["value"]])).all()


_KILLED = """
import os, signal, sys
from pathlib import Path
from kafkaos.history.recorder import Recorder
from kafkaos.history.rows import Op, Outcome
writer = Recorder(Path(sys.argv[1]), client="p", incarnation=0, role="producer", run="r1", capacity_rows=40)
for value in range(100):
    handle = writer.begin(Op.SEND, topic="orders", partition=0, value=value)
    if value < 90:
        writer.complete(handle, Outcome.OK, offset=value)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_written_survives_kill_9(segment: Path) -> None:
    """A killed client's rows are all there; the sends that it had not completed are unknown."""
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(segment)], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    rows = rows_of(segment).sort("row")
    assert rows["value"].to_list() == list(range(100))
    assert rows["outcome"].to_list() == ["ok"] * 90 + ["info"] * 10


def test_a_row_that_was_not_finished_is_never_read(segment: Path) -> None:
    """A row whose state byte was not set, as a kill in the middle leaves it, is left out."""
    writer = recorder(segment)
    for value in range(3):
        writer.add(Op.READ, topic="orders", value=value)
    writer._parts[0].rows["state"][1] = 0
    rows = rows_of(segment)
    writer._parts[0].rows["state"][1] = 1
    writer.close()
    assert rows["value"].to_list() == [0, 2]
    assert rows["row"].to_list() == [0, 2]


def test_the_files_are_sparse_and_cut_to_size_when_closed(segment: Path) -> None:
    """An open segment takes disk only for what was written, a closed one is as long as its rows."""
    writer = recorder(segment, capacity_rows=1 << 20)
    writer.add(Op.READ, topic="orders")
    opened = segment.stat()
    assert opened.st_blocks * 512 < 1 << 20 < 80 << 20 < opened.st_size
    writer.close()
    assert segment.stat().st_size < 2 << 20


def test_a_closed_recorder_refuses_to_write(segment: Path) -> None:
    """Rows written after the end would be lost silently."""
    writer = recorder(segment)
    handle = writer.begin(Op.SEND, topic="orders", value=1)
    writer.close()
    writer.close()
    with pytest.raises(WrongUse, match="closed"):
        writer.add(Op.SEND, topic="orders", value=2)
    with pytest.raises(WrongUse, match="closed"):
        writer.complete(handle, Outcome.OK)


def test_a_segment_is_never_written_over(segment: Path) -> None:
    """A second incarnation under the first one's name would destroy what it saw."""
    recorder(segment).close()
    with pytest.raises(WrongUse, match="exists already"):
        recorder(segment)


def test_too_long_a_name_is_wrong_use_and_leaves_nothing(segment: Path) -> None:
    """The header is of fixed size."""
    with pytest.raises(WrongUse, match="too long"):
        Recorder(segment, client="c" * 5000, incarnation=0, role="producer")
    assert not list(segment.parent.iterdir())


def test_no_more_topics_than_the_table_holds(segment: Path) -> None:
    """The limit is told, not silently passed."""
    longest = [f"{number:0>249}" for number in range(5000)]
    with recorder(segment) as writer, pytest.raises(WrongUse, match="one more topic"):
        list(map(writer.topic_number, longest))


def test_null_stands_for_what_is_not_known(segment: Path) -> None:
    """NULL in a row is null in its column."""
    with recorder(segment) as writer:
        writer.add(Op.REVOKE, topic=None, partition=NULL)
    row = rows_of(segment).row(0, named=True)
    assert (row["topic"], row["partition"]) == (None, None)
