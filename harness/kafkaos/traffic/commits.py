"""The offset commits of one consumer, each a COMMIT row: begun at the call, completed when the answer comes.

A failed commit is `info`: the coordinator may have carried out an earlier attempt whose answer was lost.
It is `fail` only if the client itself refused to send it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from kafkaos.history.recorder import Recorder
from kafkaos.history.rows import NULL, Op, Outcome
from kafkaos.traffic.process import ClientProcess
from kafkaos.traffic.status import Word

# Refused by the client: nothing to commit, or a call in the wrong state.
NEVER_SENT: Final = frozenset({KafkaError._NO_OFFSET, KafkaError._STATE, KafkaError._INVALID_ARG})
_METADATA_MAGIC: Final = b"CGMDv2:"

Place = tuple[str, int, int]  # topic, partition, next offset


def generation(consumer: Consumer) -> int:
    """The group generation (member epoch) that the client believes in; NULL where it cannot be told."""
    try:
        metadata = consumer.consumer_group_metadata()
    except (KafkaException, RuntimeError):
        return NULL
    # confluent-kafka hands out librdkafka's serialized form: magic, then the generation in native byte order.
    if not isinstance(metadata, bytes) or not metadata.startswith(_METADATA_MAGIC):
        return NULL
    (number,) = struct.unpack_from("=i", metadata, len(_METADATA_MAGIC))
    return int(number)


class Commits:
    """Begins and completes COMMIT rows; `on_commit` is librdkafka's callback of that name."""

    def __init__(self, recorder: Recorder, client: ClientProcess, *, automatic: bool) -> None:
        self._recorder = recorder
        self._client = client
        self._automatic = automatic
        self._pending: dict[Place, list[int]] = {}

    @property
    def unanswered(self) -> bool:
        """A commit was sent, and nothing has been heard of it."""
        return bool(self._pending)

    def commit(self, consumer: Consumer, offsets: Mapping[tuple[str, int], int], *, wait: bool) -> None:
        """Commit the next offsets to read; `wait` for the answer, or let `on_commit` bring it."""
        if not offsets:
            return
        now = generation(consumer)
        for (topic, partition), offset in offsets.items():
            handle = self._recorder.begin(
                Op.COMMIT, topic=topic, partition=partition, offset=offset, generation=now
            )
            self._pending.setdefault((topic, partition, offset), []).append(handle)
        places = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
        try:
            if wait:
                self.on_commit(None, consumer.commit(offsets=places, asynchronous=False))
            else:
                consumer.commit(offsets=places, asynchronous=True)
        except KafkaException as error:
            self.on_commit(error.args[0], places)

    def on_commit(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        """Complete the rows of a commit; one that the client made by itself is added whole."""
        if error is not None and error.code() == KafkaError._NO_OFFSET and not self._pending:
            return  # auto commit with nothing new: nothing was done
        if error is not None:
            self._client.on_error(error)
        for place in places:
            if place.offset >= 0:
                self._complete(place, place.error or error)

    def _complete(self, place: TopicPartition, error: KafkaError | None) -> None:
        key = (place.topic, place.partition, place.offset)
        waiting = self._pending.get(key)
        if not waiting and not self._automatic:
            return  # told twice: by the call and by the callback
        code = 0 if error is None else error.code()
        outcome = Outcome.OK if error is None else Outcome.FAIL if code in NEVER_SENT else Outcome.INFO
        if waiting:
            self._recorder.complete(waiting.pop(0), outcome, offset=place.offset, error=code)
            if not waiting:
                del self._pending[key]
        else:
            self._recorder.add(
                Op.COMMIT,
                topic=place.topic,
                partition=place.partition,
                offset=place.offset,
                outcome=outcome,
                error=code,
            )
        if outcome is Outcome.OK:
            self._client.page.add(Word.COMMITTED, 1)
