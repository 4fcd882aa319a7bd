"""An application's lines as rows of the recording.

They are written when the run is over: the stdout file is what survives a `kill -9`, and the final truth then names the
records that a line tells by their place alone. Delivered is what `record_data` or `process` tells first; the work on a
record is done when `process` tells it, or `records_consumed`, as VerifiableConsumer commits right after that line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kafkaos.apps import lines as spoken
from kafkaos.apps.clock import Clock
from kafkaos.apps.output import Output
from kafkaos.apps.sends import UNKNOWN_SERVER_ERROR, key_of, outcome_of, value_of, write_answers
from kafkaos.apps.truth import Truth
from kafkaos.errors import BrokenRecording
from kafkaos.history.recorder import Isolation, Recorder
from kafkaos.history.rows import NULL, Op, Outcome

ROLE = "application"

_ANSWERS = frozenset({Op.SEND, Op.COMMIT, Op.END})
_ENDS = {"committed": Outcome.OK, "aborted": Outcome.FAIL, "unknown": Outcome.INFO}


@dataclass
class Incarnation:
    """One start of an application."""

    number: int
    output: Output
    clock: Clock
    recorded: bool = False

    def record(
        self, path: Path, truth: Truth, *, client: str, run: str, group: str | None, isolation: Isolation
    ) -> None:
        """Write its rows to a segment, once; it must have ended. BrokenRecording for lines that cannot be rows."""
        if self.recorded:
            return
        self.recorded = True
        self.output.read(ended=True)
        with Recorder(
            path,
            client=client,
            incarnation=self.number,
            role=ROLE,
            run=run,
            group=group,
            isolation=isolation,
        ) as recorder:
            Rows(recorder, self.clock, truth, who=client).write(self.output.lines)


class Rows:
    """Writes the rows of one incarnation, in the order of its lines."""

    def __init__(self, recorder: Recorder, clock: Clock, truth: Truth, *, who: str) -> None:
        self._recorder = recorder
        self._clock = clock
        self._truth = truth
        self._who = who
        self._sends: dict[tuple[str, str | None, str | None], list[int]] = {}
        self._delivered: dict[
            tuple[str, int, int], tuple[int, int]
        ] = {}  # read, not yet processed: value, key
        self._transaction: int | None = None
        self._began_ns = clock.started_ns
        self._asked_ns = (
            clock.started_ns
        )  # before this nothing that the next line answers can have been asked

    def write(self, lines: Sequence[spoken.Line]) -> None:
        """All lines of the incarnation."""
        if not any(isinstance(line, spoken.Send) for line in lines):
            answers = [line for line in lines if isinstance(line, spoken.SendSuccess | spoken.SendError)]
            write_answers(answers, self._recorder, self._clock, self._truth)
            lines = [line for line in lines if not isinstance(line, spoken.SendSuccess | spoken.SendError)]
        for line in lines:
            self._write(line)
            self._asked_ns = self._clock.begun_ns(line.timestamp)
        if self._transaction is not None:
            # It may have died between its commit and the line that tells it; that was asked for at any time since it
            # began, so that nothing can seem to have come too early, or the end too late.
            self._recorder.add(
                Op.END, transaction=self._transaction, outcome=Outcome.INFO, invoked_ns=self._began_ns
            )

    def _write(self, line: spoken.Line) -> None:
        match line:
            case spoken.Send():
                self._send(line)
            case spoken.SendSuccess() | spoken.SendError():
                self._answer(line)
            case spoken.RecordData():
                self._deliver(line, line.topic, line.partition, line.offset, content=line)
            case spoken.RecordsConsumed():
                self._consumed(line)
            case spoken.Process():
                self._process(line, line.topic, line.partition, line.offset, content=line)
            case spoken.Rebalance():
                op = Op.ASSIGN if line.name == "partitions_assigned" else Op.REVOKE
                for place in line.partitions:
                    self._add(op, line, topic=place.topic, partition=place.partition, offset=place.offset)
            case spoken.Committed():
                self._commit(line)
            case spoken.Seek():
                self._add(Op.SEEK, line, topic=line.topic, partition=line.partition, offset=line.offset)
            case spoken.Begin():
                self._transaction, self._began_ns = line.transaction, self._clock.begun_ns(line.timestamp)
                self._add(Op.BEGIN, line)
            case spoken.End():
                self._transaction = None
                # Asked for after the line before: its records may be read before this line is printed.
                self._add(Op.END, line, outcome=_ENDS[line.outcome], invoked_ns=self._asked_ns)
            case spoken.Mark():
                pass

    def _add(
        self,
        op: Op,
        line: spoken.Line,
        *,
        topic: str | None = None,
        partition: int = NULL,
        offset: int | None = None,
        value: int = NULL,
        key: int = NULL,
        outcome: Outcome = Outcome.OK,
        error: int = 0,
        invoked_ns: int | None = None,
    ) -> int:
        begun_ns = self._clock.begun_ns(line.timestamp)
        # An answer is dated as late as it may have come. Work is dated as its line: a commit is asked for after the
        # line before its own, and must not seem to have been asked for before the work that this line tells.
        done_ns = self._clock.done_ns(line.timestamp) if op in _ANSWERS else begun_ns
        return self._recorder.add(
            op,
            topic=topic,
            partition=partition,
            offset=NULL if offset is None else offset,
            value=value,
            key=key,
            transaction=NULL if line.transaction is None else line.transaction,
            generation=NULL if line.generation is None else line.generation,
            outcome=outcome,
            error=error,
            invoked_ns=begun_ns if invoked_ns is None else invoked_ns,
            completed_ns=None if outcome is Outcome.INFO else done_ns,
        )

    def _send(self, line: spoken.Send) -> None:
        within = line.transaction if line.transaction is not None else self._transaction
        row = self._recorder.add(
            Op.SEND,
            topic=line.topic,
            partition=NULL if line.partition is None else line.partition,
            value=value_of(line.key, line.value),
            key=key_of(line),
            transaction=NULL if within is None else within,
            outcome=Outcome.INFO,
            invoked_ns=self._clock.begun_ns(line.timestamp),
        )
        self._sends.setdefault((line.topic, line.key, line.value), []).append(row)

    def _answer(self, line: spoken.SendSuccess | spoken.SendError) -> None:
        waiting = self._sends.get((line.topic, line.key, line.value))
        if not waiting:
            raise BrokenRecording(
                f"application {self._who!r} tells the answer to a record that it never said it sent ({line}): print a "
                "`send` line before each record is handed over, or none at all"
            )
        ok = isinstance(line, spoken.SendSuccess)
        self._recorder.complete(
            waiting.pop(0),
            outcome_of(line),
            partition=line.partition if isinstance(line, spoken.SendSuccess) else None,
            offset=line.offset if isinstance(line, spoken.SendSuccess) else NULL,
            error=0 if ok else UNKNOWN_SERVER_ERROR,
            completed_ns=self._clock.done_ns(line.timestamp),
        )

    def _deliver(
        self,
        line: spoken.Line,
        topic: str,
        partition: int,
        offset: int,
        *,
        content: spoken.Content | None,
    ) -> None:
        value, key = self._named(topic, partition, offset, content)
        self._delivered[topic, partition, offset] = (value, key)
        self._add(Op.READ, line, topic=topic, partition=partition, offset=offset, value=value, key=key)

    def _process(
        self,
        line: spoken.Line,
        topic: str,
        partition: int,
        offset: int,
        *,
        content: spoken.Content | None = None,
    ) -> None:
        if (topic, partition, offset) not in self._delivered:
            self._deliver(line, topic, partition, offset, content=content)
        value, key = self._delivered.pop((topic, partition, offset))
        self._add(Op.PROCESS, line, topic=topic, partition=partition, offset=offset, value=value, key=key)

    def _consumed(self, line: spoken.RecordsConsumed) -> None:
        for part in line.partitions:
            for offset in self._offsets(part):
                self._process(line, part.topic, part.partition, offset)

    def _offsets(self, part: spoken.Summary) -> Sequence[int]:
        """Which offsets a summary stands for; offsets may have gaps (transaction markers, compaction)."""
        whole = range(part.min_offset, part.max_offset + 1)
        if part.count in (0, len(whole)):
            return whole[: part.count]
        told = [offset for offset in whole if (part.topic, part.partition, offset) in self._delivered]
        there = self._truth.between(part.topic, part.partition, part.min_offset, part.max_offset)
        for found in (told, there):
            if len(found) == part.count:
                return found
        raise BrokenRecording(
            f"application {self._who!r} consumed {part.count} records from offset {part.min_offset} to "
            f"{part.max_offset} of {part.topic}-{part.partition} and does not tell which: have it tell each record "
            "(--verbose of Kafka's VerifiableConsumer)"
        )

    def _named(
        self, topic: str, partition: int, offset: int, content: spoken.Content | None
    ) -> tuple[int, int]:
        """Value id and key number: by the content where the line tells it, else by what lies at that place."""
        if content is not None and content.is_told:
            return value_of(content.key, content.value), key_of(content)
        value = self._truth.value(topic, partition, offset)
        return (NULL if value is None else value), NULL

    def _commit(self, line: spoken.Committed) -> None:
        for place in line.offsets:
            self._add(
                Op.COMMIT,
                line,
                topic=place.topic,
                partition=place.partition,
                offset=place.offset,
                outcome=Outcome.OK if line.success else Outcome.INFO,
                error=0 if line.success else UNKNOWN_SERVER_ERROR,
                invoked_ns=self._asked_ns,
            )
