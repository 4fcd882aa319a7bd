"""Consumed messages as columns: a batch of `consume()`, decoded with no Python loop over records."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from confluent_kafka import Message

from kafkaos.history import payload
from kafkaos.history.recorder import Recorder
from kafkaos.history.rows import FLAG_CORRUPT, NULL, Op, Outcome

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Rows = npt.NDArray[np.void]


def split(messages: list[Message]) -> tuple[list[Message], list[Message]]:
    """Records, and the events among them (errors, ends of partitions)."""
    if not any(map(Message.error, messages)):
        return messages, []
    return [m for m in messages if m.error() is None], [m for m in messages if m.error() is not None]


def as_rows(op: Op, messages: list[Message], recorder: Recorder, *, now_ns: int) -> Rows:
    """One row a message, outcome ok, a broken payload of ours flagged; ready for `Recorder.add_block`."""
    count = len(messages)
    values, sequences, whole = _decoded(messages)
    rows = recorder.blank(count)
    rows["op"] = op
    rows["outcome"] = Outcome.OK
    rows["flags"] = np.where(whole, 0, FLAG_CORRUPT)
    rows["topic"] = _topic_numbers(messages, recorder)
    rows["partition"] = np.fromiter(map(Message.partition, messages), dtype=np.int32, count=count)
    rows["offset"] = np.fromiter(map(Message.offset, messages), dtype=np.int64, count=count)
    rows["value"] = values
    rows["key"] = _keys(messages)
    rows["sequence"] = sequences
    rows["leader_epoch"] = _leader_epochs(messages)
    rows["invoked_ns"] = now_ns
    rows["completed_ns"] = now_ns
    return rows


def _decoded(messages: list[Message]) -> tuple[Int64, Int64, npt.NDArray[np.bool_]]:
    """Value ids, sequences and wholeness; a record of another application is named by its content."""
    payloads = list(map(Message.value, messages))
    values, sequences, whole = payload.decode_block(payloads)
    for place in np.flatnonzero(~whole).tolist():
        if payload.is_foreign(payloads[place]):
            values[place] = payload.foreign_value(messages[place].key(), payloads[place])
            whole[place] = True
    return values, sequences, whole


def next_offsets(messages: list[Message], rows: Rows) -> dict[tuple[str, int], int]:
    """Where reading goes on after these messages, for each partition among them."""
    codes = rows["topic"].astype(np.int64) << 32 | rows["partition"]
    backwards = codes[::-1]
    _, last = np.unique(backwards, return_index=True)
    found: dict[tuple[str, int], int] = {}
    for place in (len(codes) - 1 - last).tolist():
        message = messages[place]
        found[str(message.topic()), int(message.partition() or 0)] = int(rows["offset"][place]) + 1
    return found


def _topic_numbers(messages: list[Message], recorder: Recorder) -> npt.NDArray[np.int16] | int:
    names = list(map(Message.topic, messages))
    numbers = {name: recorder.topic_number(str(name)) for name in set(names)}
    if len(numbers) == 1:
        return next(iter(numbers.values()))
    return np.fromiter(map(numbers.__getitem__, names), dtype=np.int16, count=len(names))


def _keys(messages: list[Message]) -> Int64 | int:
    keys = list(map(Message.key, messages))
    if not any(keys):
        return NULL
    return np.fromiter(map(key_number, keys), dtype=np.int64, count=len(keys))


def key_number(key: bytes | None) -> int:
    """Keys of ours are numbers in ASCII; another application's key has no number."""
    return int(key) if key is not None and key.isdigit() and len(key) < 19 else NULL


def _leader_epochs(messages: list[Message]) -> Int32 | int:
    epochs = list(map(Message.leader_epoch, messages))
    if None in epochs:  # old message formats
        return np.array([NULL if epoch is None else epoch for epoch in epochs], dtype=np.int32)
    return np.fromiter(epochs, dtype=np.int32, count=len(epochs))
