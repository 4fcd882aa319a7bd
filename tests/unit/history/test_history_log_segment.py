"""A broker's log files, read batch by batch: real record batches, written by another library."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from kafkaos.history.log_segment import read_batches

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # a call that Python 3.11 deprecates
    from kafka.record.default_records import DefaultRecordBatchBuilder


def batch(first: int, values: list[bytes]) -> bytes:
    """One batch of message format 2, whose base offset a broker would have set."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=False, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=1 << 20,
    )  # fmt: skip
    for place, value in enumerate(values):
        builder.append(place, timestamp=1_000 + place, key=None, value=value, headers=[])
    return first.to_bytes(8, "big") + bytes(builder.build())[8:]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "00000000000000000000.log").write_bytes(batch(0, [b"a", b"b"]) + batch(2, [b"c"]))
    (tmp_path / "00000000000000000003.log").write_bytes(batch(3, [b"d", b"e", b"f"]))
    return tmp_path


def test_batches_are_read_over_all_segments(folder: Path) -> None:
    """Each batch has its first and last offset, in the order of the log."""
    assert [(one.first, one.last) for one in read_batches(folder)] == [(0, 1), (2, 2), (3, 5)]


def test_a_flipped_bit_changes_the_fingerprint(folder: Path) -> None:
    """The content counts, not the checksum that is stored beside it."""
    path = folder / "00000000000000000003.log"
    whole = [one.fingerprint for one in read_batches(folder)]
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    hurt = [one.fingerprint for one in read_batches(folder)]
    assert hurt[:2] == whole[:2]
    assert hurt[2] != whole[2]


def test_a_torn_batch_and_preallocated_zeros_end_the_segment(folder: Path) -> None:
    """What was cut in the middle of a batch, or never written, is left out."""
    path = folder / "00000000000000000003.log"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert [one.first for one in read_batches(folder)] == [0, 2]
    path.write_bytes(content + bytes(4_096))
    assert [one.first for one in read_batches(folder)] == [0, 2, 3]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    """A broker that lost its directory has no batches."""
    assert list(read_batches(tmp_path / "gone")) == []


def test_a_segment_that_retention_takes_meanwhile_holds_nothing(folder: Path) -> None:
    """The broker lives: it deletes a segment between the listing of the folder and the look into the file."""
    batches = read_batches(folder)
    assert next(batches).first == 0
    (folder / "00000000000000000003.log").unlink()
    assert [one.first for one in batches] == [2]
