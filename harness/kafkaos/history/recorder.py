"""A client writes what it does, while it does it, into a mapped segment file that survives `kill -9`.

A row is *begun* with outcome `info` before the operation goes out and *completed* in place; the state byte
of a new row and the outcome of a completed one are written last, so a reader never sees half of either.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from kafkaos.errors import WrongUse
from kafkaos.history.rows import FLAG_COMMITTED, NULL, ROW, Op, Outcome
from kafkaos.history.segment import ROWS_AT, SegmentWriter, part_path

Int64 = npt.NDArray[np.int64]
Isolation = Literal["uncommitted", "committed"]

ROWS_PER_SEGMENT = 1 << 20
_NO_TOPIC = -1
_ISOLATED = frozenset({Op.READ, Op.FINAL, Op.LOG_START, Op.LOG_END, Op.REACHED})
_AFTER_STATE = struct.Struct("<BBBiqqqqqqqhhiii")  # ROW without its first byte


def _at(field: str) -> int:
    fields = ROW.fields
    assert fields is not None
    return int(fields[field][1])


_OUTCOME_AT, _PARTITION_AT, _OFFSET_AT = _at("outcome"), _at("partition"), _at("offset")
_COMPLETED_AT, _ERROR_AT, _EPOCH_AT, _GENERATION_AT = (
    _at("completed_ns"),
    _at("error"),
    _at("leader_epoch"),
    _at("generation"),
)
_I2, _I4, _I8 = struct.Struct("<h"), struct.Struct("<i"), struct.Struct("<q")


class Recorder:
    """One incarnation of one client; safe to use from several threads. A full segment goes on in a next one.

    `client` is the name of the client in the run, `incarnation` counts its restarts from 0, `role` is
    producer, consumer, processor, final, harness …; `isolation` marks all that it reads. All times are
    CLOCK_MONOTONIC nanoseconds, which all processes of one machine share. Raises WrongUse if the segment
    file exists.
    """

    def __init__(
        self,
        path: Path,
        *,
        client: str,
        incarnation: int,
        role: str,
        run: str = "",
        group: str | None = None,
        isolation: Isolation | None = None,
        transactional_id: str | None = None,
        capacity_rows: int = ROWS_PER_SEGMENT,
    ) -> None:
        self._path = path
        self._capacity_rows = capacity_rows
        self._isolation_flag = FLAG_COMMITTED if isolation == "committed" else 0
        self._meta: dict[str, Any] = {
            "run": run,
            "client": client,
            "incarnation": incarnation,
            "role": role,
            "group": group,
            "isolation": isolation,
            "transactional_id": transactional_id,
            "pid": os.getpid(),
        }
        self._lock = threading.Lock()
        self._next_row = 0
        self._topics: dict[str, int] = {}
        self._parts: list[SegmentWriter] = []
        self._closed = False
        self._open_part()

    def begin(
        self,
        op: Op,
        *,
        topic: str | None = None,
        partition: int = NULL,
        value: int = NULL,
        key: int = NULL,
        sequence: int = NULL,
        transaction: int = NULL,
        offset: int = NULL,
        generation: int = NULL,
    ) -> int:
        """Note an operation that is about to go out; returns the handle to complete it with."""
        return self.add(
            op,
            topic=topic,
            partition=partition,
            offset=offset,
            value=value,
            key=key,
            sequence=sequence,
            transaction=transaction,
            generation=generation,
            outcome=Outcome.INFO,
        )

    def complete(
        self,
        handle: int,
        outcome: Outcome,
        *,
        offset: int = NULL,
        partition: int | None = None,
        error: int = 0,
        leader_epoch: int = NULL,
        generation: int | None = None,
        completed_ns: int | None = None,
    ) -> None:
        """Note how a begun operation ended. `partition` and `generation` stay as begun where None."""
        number, slot = divmod(handle, self._capacity_rows)
        buffer = self._part(number).map
        at = ROWS_AT + slot * ROW.itemsize
        if partition is not None:
            _I4.pack_into(buffer, at + _PARTITION_AT, partition)
        if generation is not None:
            _I4.pack_into(buffer, at + _GENERATION_AT, generation)
        if offset != NULL:
            _I8.pack_into(buffer, at + _OFFSET_AT, offset)
        if error:
            _I2.pack_into(buffer, at + _ERROR_AT, error)
        if leader_epoch != NULL:
            _I4.pack_into(buffer, at + _EPOCH_AT, leader_epoch)
        now_ns = time.monotonic_ns() if completed_ns is None else completed_ns
        _I8.pack_into(buffer, at + _COMPLETED_AT, now_ns)
        buffer[at + _OUTCOME_AT] = outcome

    def add(
        self,
        op: Op,
        *,
        topic: str | None = None,
        partition: int = NULL,
        offset: int = NULL,
        value: int = NULL,
        key: int = NULL,
        sequence: int = NULL,
        transaction: int = NULL,
        leader_epoch: int = NULL,
        generation: int = NULL,
        outcome: Outcome = Outcome.OK,
        error: int = 0,
        flags: int = 0,
        invoked_ns: int | None = None,
        completed_ns: int | None = None,
    ) -> int:
        """Write a whole row. Times default to now; an `info` row has no completion unless one is given."""
        invoked = time.monotonic_ns() if invoked_ns is None else invoked_ns
        if completed_ns is None:
            completed_ns = NULL if outcome is Outcome.INFO else invoked
        if op in _ISOLATED:
            flags |= self._isolation_flag
        data = _AFTER_STATE.pack(
            op, outcome, flags, partition, offset, value, key, sequence, transaction, invoked, completed_ns,
            self._topic(topic), error, leader_epoch, generation, 0,
        )  # fmt: skip
        with self._lock:
            row = self._allocate(1)
            number, slot = divmod(row, self._capacity_rows)
            buffer = self._part(number).map
            at = ROWS_AT + slot * ROW.itemsize
            buffer[at + 1 : at + ROW.itemsize] = data
            buffer[at] = 1
        return row

    def begin_block(
        self,
        op: Op,
        *,
        topic: str | None,
        values: Int64,
        sequences: Int64 | int = NULL,
        partition: npt.NDArray[np.integer[Any]] | int = NULL,
        keys: Int64 | int = NULL,
        transaction: int = NULL,
        invoked_ns: Int64 | int | None = None,
    ) -> Int64:
        """`begin` for many at once; returns their handles, in order."""
        rows = self.blank(len(values))
        rows["op"] = op
        rows["topic"] = self._topic(topic)
        rows["partition"] = partition
        rows["value"] = values
        rows["key"] = keys
        rows["sequence"] = sequences
        rows["transaction"] = transaction
        rows["invoked_ns"] = time.monotonic_ns() if invoked_ns is None else invoked_ns
        return self._write(rows)

    def complete_block(
        self,
        handles: Int64,
        outcomes: npt.NDArray[np.integer[Any]] | Outcome,
        *,
        offsets: Int64 | int = NULL,
        partitions: npt.NDArray[np.integer[Any]] | int | None = None,
        errors: npt.NDArray[np.integer[Any]] | int = 0,
        completed_ns: Int64 | int | None = None,
    ) -> None:
        """`complete` for many at once; an argument is one value for all or an array like `handles`."""
        now_ns = time.monotonic_ns() if completed_ns is None else completed_ns
        numbers = handles // self._capacity_rows
        for number in np.unique(numbers):
            mine = numbers == number
            rows = self._part(int(number)).rows
            slots = handles[mine] - number * self._capacity_rows
            if partitions is not None:
                rows["partition"][slots] = _share(partitions, mine)
            rows["offset"][slots] = _share(offsets, mine)
            rows["error"][slots] = _share(errors, mine)
            rows["completed_ns"][slots] = _share(now_ns, mine)
            rows["outcome"][slots] = _share(outcomes, mine)

    def add_block(self, rows: npt.NDArray[np.void], *, topic: str | None = None) -> Int64:
        """Write whole rows (from `blank`, then filled), all of `topic` or each with its `topic_number`."""
        if topic is not None:
            rows["topic"] = self._topic(topic)
        if self._isolation_flag:
            isolated = np.isin(rows["op"], list(_ISOLATED))
            rows["flags"][isolated] |= self._isolation_flag
        return self._write(rows)

    @staticmethod
    def blank(count: int) -> npt.NDArray[np.void]:
        """`count` rows of ROW in which all that may be null is null, outcome info, no topic."""
        rows = np.zeros(count, dtype=ROW)
        for field in ("partition", "offset", "value", "key", "sequence", "transaction", "completed_ns"):
            rows[field] = NULL
        rows["topic"] = _NO_TOPIC
        rows["leader_epoch"] = NULL
        rows["generation"] = NULL
        return rows

    def topic_number(self, topic: str) -> int:
        """The number of a topic in this recorder's table of names, for rows that `add_block` takes."""
        return self._topic(topic)

    def close(self) -> None:
        """Give the unused rest of the files back; further writes raise WrongUse. Closing twice is fine."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for number, part in enumerate(self._parts):
                part.close(min(self._next_row - number * self._capacity_rows, self._capacity_rows))
            self._parts.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _topic(self, topic: str | None) -> int:
        if topic is None:
            return _NO_TOPIC
        number = self._topics.get(topic)
        if number is None:
            with self._lock:
                number = self._topics.get(topic)
                if number is None:
                    for part in self._parts:
                        part.add_topic(topic)
                    number = self._topics[topic] = len(self._topics)
        return number

    def _part(self, number: int) -> SegmentWriter:
        try:
            return self._parts[number]
        except IndexError:
            raise WrongUse(f"the recorder of {self._path} is closed, or the handle is not its own") from None

    def _allocate(self, count: int) -> int:
        """Reserve rows (under the lock) and open as many further segments as they need."""
        if self._closed:
            raise WrongUse(f"the recorder of {self._path} is closed: write before close()")
        first = self._next_row
        while first + count > len(self._parts) * self._capacity_rows:
            self._open_part()
        self._next_row = first + count
        return first

    def _open_part(self) -> None:
        number = len(self._parts)
        meta = self._meta | {
            "part": number,
            "started_ns": time.monotonic_ns(),
            "started_wall_ns": time.time_ns(),
        }
        self._parts.append(
            SegmentWriter(
                part_path(self._path, number),
                meta=meta,
                capacity_rows=self._capacity_rows,
                topics=list(self._topics),
            )
        )

    def _write(self, rows: npt.NDArray[np.void]) -> Int64:
        rows["state"] = 0
        with self._lock:
            first = self._allocate(len(rows))
            done = 0
            while done < len(rows):
                number, slot = divmod(first + done, self._capacity_rows)
                room = self._part(number).rows[slot : slot + len(rows) - done]
                room[:] = rows[done : done + len(room)]
                room["state"] = 1
                done += len(room)
        return np.arange(first, first + len(rows), dtype=np.int64)


def _share(given: Any, mine: npt.NDArray[np.bool_]) -> Any:
    """The part of an array that belongs to one segment; one value for all stays as it is."""
    return given[mine] if isinstance(given, np.ndarray) else given
