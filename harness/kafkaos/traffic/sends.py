"""The hot path of a producer: rows are reserved in blocks before the records go out, and completed in blocks.

A row turns `ok` only by its delivery report. Reports carry the payload, and the payload its value id, so an
answer finds its row whatever order answers come in. With `produce_batch`, which only newer confluent-kafka
has, a block costs one call; without it, one call a record.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from kafkaos.history import payload
from kafkaos.history.recorder import Recorder
from kafkaos.history.rows import NULL, Op, Outcome
from kafkaos.traffic import outcomes
from kafkaos.traffic.process import ClientProcess
from kafkaos.traffic.settings import ProducerSettings
from kafkaos.traffic.status import Word

Int64 = npt.NDArray[np.int64]
Batch = list[dict[str, Any]]

_VALUE_ID_AT: Final = 8  # where a payload carries its value id (little-endian, 8 bytes)
_SEQUENCE_MASK: Final = (1 << payload.SEQUENCE_BITS) - 1
_FULL_WAIT_S: Final = 0.01
_HAS_BATCH: Final = hasattr(Producer, "produce_batch")


class Sends:
    """Sends of one producer process: numbering, recording, answers. Not thread-safe, nor need it be."""

    def __init__(self, settings: ProducerSettings, recorder: Recorder, client: ClientProcess) -> None:
        self._settings = settings
        self._recorder = recorder
        self._client = client
        self._config = settings.librdkafka()
        self._backoff_ms = _retry_backoff_ms(self._config)
        self._key_numbers = _key_numbers(settings)
        self._good: list[Message] = []
        self._bad: list[tuple[KafkaError, Message]] = []
        self._runs: list[tuple[int, int]] = []  # (first sequence, its row), where rows are not neighbours
        self._mark_sequence = 0
        self.sent = 0
        self.answered = 0
        self.producer = Producer(self._config | {"error_cb": client.on_error})

    @property
    def outstanding(self) -> int:
        """Sends that were recorded and are not yet answered."""
        return self.sent - self.answered

    def mark(self) -> None:
        """From the next send on, acknowledgements count for the harness's mark."""
        self._mark_sequence = self.sent

    def send(self, topic: str, count: int, *, partitions: int = 0, transaction: int = NULL) -> None:
        """Record and produce a block of new records; `partitions` > 0 goes round all partitions in turn."""
        settings = self._settings
        sequences = np.arange(self.sent, self.sent + count, dtype=np.int64)
        values = sequences + payload.value_id(settings.number, 0)
        keys = None if self._key_numbers is None else self._key_numbers[sequences % len(self._key_numbers)]
        fixed = settings.partition if isinstance(settings.partition, int) else NULL
        targets = sequences % partitions if partitions else None
        handles = self._recorder.begin_block(
            Op.SEND,
            topic=topic,
            values=values,
            sequences=sequences,
            partition=fixed if targets is None else targets.astype(np.int32),
            keys=NULL if keys is None else keys,
            transaction=transaction,
        )
        self._note_run(int(sequences[0]), int(handles[0]))
        self.sent += count
        self._client.page[Word.SENT] = self.sent
        payloads = payload.encode_block(values, sequences, settings.size_bytes)
        batch: Batch = [{"value": body} for body in payloads]
        if keys is not None:
            for message, key in zip(batch, keys.tolist(), strict=True):
                message["key"] = b"%d" % key
        if targets is None:
            self._produce(topic, batch, fixed)
            return
        # One call a partition: produce_batch does not heed the partition of a single message.
        for target in range(min(partitions, count)):
            of_target = batch[target::partitions]
            self._produce(topic, of_target, int(targets[target]))

    def settle(self) -> int:
        """Complete the rows of all answers so far; returns how many."""
        count = len(self._good) + len(self._bad)
        if self._good:
            self._settle_good()
        if self._bad:
            self._settle_bad()
        self.answered += count
        return count

    def flush(self, *, timeout_s: float) -> bool:
        """Wait for all answers, at most so long; whether all came. What is left stays `info`."""
        deadline_s = time.monotonic() + timeout_s
        while self.outstanding and time.monotonic() < deadline_s:
            self.producer.poll(0.05)
            self.settle()
        return self.outstanding == 0

    def _produce(self, topic: str, batch: Batch, partition: int) -> None:
        """Hand all of a batch to librdkafka, waiting while its queue is full. Order is kept: see `_offer`."""
        while batch:
            rest, refused = self._offer(topic, batch, partition)
            if refused:
                self._settle_refused(refused)
            if rest:
                if self._client.fatal is not None or self._client.command == self._client.command.STOP:
                    full = KafkaError(KafkaError._QUEUE_FULL)
                    self._settle_refused([(message, full) for message in rest])
                    return
                self.producer.poll(_FULL_WAIT_S)
                self.settle()
            batch = rest

    def _offer(
        self, topic: str, batch: Batch, partition: int
    ) -> tuple[Batch, list[tuple[dict[str, Any], KafkaError]]]:
        """Produce what fits; returns what met a full queue (always the batch's tail) and what was refused."""
        if _HAS_BATCH:
            queued = self.producer.produce_batch(topic, batch, partition=partition, on_delivery=self._collect)
            if queued == len(batch):
                return [], []
            failed = [(message, message.pop("_error")) for message in batch if "_error" in message]
            rest = [message for message, error in failed if error.code() == KafkaError._QUEUE_FULL]
            return rest, [(m, error) for m, error in failed if error.code() != KafkaError._QUEUE_FULL]
        refused: list[tuple[dict[str, Any], KafkaError]] = []
        for place, message in enumerate(batch):
            try:
                self.producer.produce(topic, partition=partition, on_delivery=self._collect, **message)
            except BufferError:
                return batch[place:], refused
            except KafkaException as error:
                refused.append((message, error.args[0]))
        return [], refused

    def _collect(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._good.append(message)
        else:
            self._bad.append((error, message))

    def _settle_good(self) -> None:
        answers = self._good
        self._good = []
        count = len(answers)
        outcome = outcomes.of_acknowledgement(self._settings.acks)
        sequences = self._sequences([message.value() for message in answers])
        offsets: Int64 | int = NULL  # acks=0 knows none
        if outcome is Outcome.OK:
            # None: a repeated send that the broker knew already is acknowledged without its offset.
            known = (NULL if offset is None else offset for offset in map(Message.offset, answers))
            offsets = np.fromiter(known, dtype=np.int64, count=count)
        now_ns = time.monotonic_ns()
        self._recorder.complete_block(
            self._handles(sequences),
            outcome,
            offsets=offsets,
            partitions=np.fromiter(map(Message.partition, answers), dtype=np.int32, count=count),
            completed_ns=now_ns,
        )
        page = self._client.page
        if outcome is Outcome.OK:
            page.add(Word.ACKNOWLEDGED, count)
            page.add(Word.MARKED_ACKNOWLEDGED, int(np.count_nonzero(sequences >= self._mark_sequence)))
            page[Word.LAST_OK_NS] = now_ns
        else:
            page.add(Word.UNKNOWN, count)

    def _settle_bad(self) -> None:
        answers = self._bad
        self._bad = []
        ends = [
            outcomes.of_delivery_error(
                error.code(), latency_s=message.latency(), retry_backoff_ms=self._backoff_ms
            )
            for error, message in answers
        ]
        errors = [error for error, _ in answers]
        self._record_errors(ends, errors, [message.value() for _, message in answers])

    def _settle_refused(self, refused: list[tuple[dict[str, Any], KafkaError]]) -> None:
        ends = [outcomes.of_local_error()] * len(refused)
        errors = [error for _, error in refused]
        self._record_errors(ends, errors, [message["value"] for message, _ in refused])
        self.answered += len(refused)

    def _record_errors(self, ends: list[Outcome], errors: list[KafkaError], bodies: list[Any]) -> None:
        self._recorder.complete_block(
            self._handles(self._sequences(bodies)),
            np.array(ends, dtype=np.uint8),
            errors=np.array([error.code() for error in errors], dtype=np.int16),
        )
        page = self._client.page
        failed = ends.count(Outcome.FAIL)
        page.add(Word.FAILED, failed)
        page.add(Word.UNKNOWN, len(ends) - failed)
        for error in {error.code(): error for error in errors}.values():
            self._client.on_error(error)

    def _sequences(self, bodies: list[Any]) -> Int64:
        joined = np.frombuffer(b"".join(bodies), dtype=np.uint8)
        block = joined.reshape(len(bodies), self._settings.size_bytes)
        ids = np.ascontiguousarray(block[:, _VALUE_ID_AT : _VALUE_ID_AT + 8]).view("<i8").ravel()
        return ids & _SEQUENCE_MASK

    def _note_run(self, sequence: int, handle: int) -> None:
        if not self.outstanding:  # nobody will ask for older ones
            self._runs.clear()
        if not self._runs or handle - sequence != self._runs[-1][1] - self._runs[-1][0]:
            self._runs.append((sequence, handle))

    def _handles(self, sequences: Int64) -> Int64:
        if len(self._runs) == 1:
            first, handle = self._runs[0]
            return sequences + (handle - first)
        starts = [first for first, _ in self._runs]
        shifts = np.array([handle - first for first, handle in self._runs], dtype=np.int64)
        places = [bisect_right(starts, sequence) - 1 for sequence in sequences.tolist()]
        return sequences + shifts[places]


def _retry_backoff_ms(config: dict[str, Any]) -> float:
    least = float(config.get("retry.backoff.ms", outcomes.RETRY_BACKOFF_MS))
    return min(least, float(config.get("retry.backoff.max.ms", 1_000)))


def _key_numbers(settings: ProducerSettings) -> Int64 | None:
    if settings.keys is None:
        return None
    chosen = range(settings.keys) if isinstance(settings.keys, int) else settings.keys
    return np.array(chosen, dtype=np.int64)
