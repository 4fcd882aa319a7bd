"""The segment file: a header, a table of topic names, then rows, all written through a shared memory map.

| at byte | what |
|---|---|
| 0 | magic, format version (u4), row size (u4), capacity (u8), rows when closed (i8), JSON length (u4) |
| 64 | JSON: run, client, incarnation, role, group, isolation, part, pid, started_ns, started_wall_ns |
| 4096 | topic names, each u2 length and UTF-8; the length is written last and 0 ends the table |
| `ROWS_AT` | rows |

Capacity counts rows; rows when closed is -1 while the writer is open; started_ns is CLOCK_MONOTONIC.

What was written to the map is in the page cache, so it survives a `kill -9` of the writer (not a power cut).
The file is sparse. A full disk ends the writer with SIGBUS: keep recordings off the disk that a run fills.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kafkaos.errors import WrongUse
from kafkaos.history.rows import ROW

MAGIC = b"kafkaos\n"
FORMAT_VERSION = 1
STILL_OPEN = -1
HEAD = struct.Struct("<8sIIQqI")
CLOSED_ROWS = struct.Struct("<q")
CLOSED_ROWS_AT = 24
JSON_AT = 64
TOPICS_AT = 4096
ROWS_AT = TOPICS_AT + (1 << 20)

Rows = npt.NDArray[np.void]


def part_path(path: Path, part: int) -> Path:
    """Where the further segment number `part` of `path` lies: `name.seg`, `name.1.seg`, `name.2.seg` …"""
    return path if part == 0 else path.with_name(f"{path.stem}.{part}{path.suffix}")


class SegmentWriter:
    """One mapped segment file, open for writing. The recorder owns the order of writing."""

    def __init__(self, path: Path, *, meta: dict[str, Any], capacity_rows: int, topics: list[str]) -> None:
        self.path = path
        self._topics_end = TOPICS_AT
        text = json.dumps(meta, ensure_ascii=False).encode()
        if len(text) > TOPICS_AT - JSON_AT:
            raise WrongUse(
                f"the header of {path.name} is too long: shorten the names of run, client or group"
            )
        if path.exists():
            raise WrongUse(f"{path} exists already: give each client incarnation a file of its own")
        # Under its final name a segment always has a whole header, whenever the writer was killed.
        draft = path.with_name(path.name + ".tmp")
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            os.ftruncate(descriptor, ROWS_AT + capacity_rows * ROW.itemsize)
            self.map = mmap.mmap(descriptor, 0)
        finally:
            os.close(descriptor)
        head = HEAD.pack(MAGIC, FORMAT_VERSION, ROW.itemsize, capacity_rows, STILL_OPEN, len(text))
        self.map[: len(head)] = head
        self.map[JSON_AT : JSON_AT + len(text)] = text
        for topic in topics:
            self.add_topic(topic)
        self.rows: Rows = np.frombuffer(self.map, dtype=ROW, offset=ROWS_AT, count=capacity_rows)
        draft.rename(path)

    def add_topic(self, topic: str) -> None:
        """Append a name to the table; its length is set last, so that a torn name is never read."""
        name = topic.encode()
        end = self._topics_end + 2 + len(name)
        if end + 2 > ROWS_AT:
            raise WrongUse(f"{self.path.name} cannot name one more topic: spread them over more clients")
        self.map[self._topics_end + 2 : end] = name
        self.map[self._topics_end : self._topics_end + 2] = len(name).to_bytes(2, "little")
        self._topics_end = end

    def close(self, used_rows: int) -> None:
        """Note how many rows there are and give the unused rest of the file back."""
        self.map[CLOSED_ROWS_AT : CLOSED_ROWS_AT + CLOSED_ROWS.size] = CLOSED_ROWS.pack(used_rows)
        self.rows = np.empty(0, dtype=ROW)  # lets go of the map
        self.map.close()
        os.truncate(self.path, ROWS_AT + used_rows * ROW.itemsize)
