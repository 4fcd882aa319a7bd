"""The batches of a partition's log directory, as they lie on a broker's disk (message format 2).

A batch is copied from leader to follower byte for byte, so equal replicas have equal batches. Of each its
offsets and a fingerprint over all that its own checksum covers are taken: the stored checksum alone would
not change when a bit of the records does.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEAD = struct.Struct(
    ">qiibIhi"
)  # base offset, length, leader epoch, magic, checksum, attributes, last offset delta
_LENGTH_AT = 12  # the length counts from here on
_COVERED_AT = 21  # what the checksum covers: all from the attributes on
_MAGIC = 2
_SMALLEST = 49  # bytes after the length, of a batch without records


@dataclass(frozen=True)
class Batch:
    """First and last offset (both inclusive), leader epoch and fingerprint."""

    first: int
    last: int
    leader_epoch: int
    fingerprint: int


def read_batches(folder: Path) -> Iterator[Batch]:
    """All whole batches of a partition's folder, in order; what follows a torn one in a segment is left out."""
    for path in sorted(folder.glob("*.log")):
        try:
            file = path.open("rb")
        except FileNotFoundError:  # retention, or the cleaner, took the segment away since it was listed
            continue
        with file:
            if os.fstat(file.fileno()).st_size:
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                    yield from _of_segment(content)


def _of_segment(content: mmap.mmap) -> Iterator[Batch]:
    at = 0
    while at + _HEAD.size <= len(content):
        first, length, epoch, magic, _, _, delta = _HEAD.unpack_from(content, at)
        end = at + _LENGTH_AT + length
        if magic != _MAGIC or length < _SMALLEST or end > len(content):
            return
        with memoryview(content) as view, view[at + _COVERED_AT : end] as covered:
            fingerprint = zlib.crc32(covered)
        yield Batch(first=first, last=first + delta, leader_epoch=epoch, fingerprint=fingerprint)
        at = end
