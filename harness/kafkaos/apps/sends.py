"""Sends that an application tells only when they are answered, as Kafka's VerifiableProducer does.

It sends the numbers 0, 1, 2 … (`PREFIX.NUMBER` with --value-prefix) one after the other and prints a line for each
answer, none when it hands a record over. So when it is killed, records may be in the log that no line tells. What it
sent follows from the numbers:

- Each number below the highest told one was sent: without a line of its own it is a SEND with outcome `info`.
- Of the numbers above it, up to `IN_FLIGHT_MAX`, those that the final reader found are `info` sends as well; the others
  were sent or not, which no guarantee asks for.
- Killed before its first line it tells nothing, and nothing is made up: what it wrote counts as unsent.

When such a send began is not known: it is dated to the start of its incarnation, so that no order in real time is
claimed. Program order is that of the numbers. Answers of other applications (values that are not one such series) are
sends in the order of their lines; an application that can be killed prints `send` lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from kafkaos.apps.clock import Clock
from kafkaos.apps.lines import Content, SendError, SendSuccess
from kafkaos.apps.truth import Truth
from kafkaos.history.payload import foreign_value
from kafkaos.history.recorder import Recorder
from kafkaos.history.rows import NULL, Op, Outcome
from kafkaos.traffic.deliveries import key_number

IN_FLIGHT_MAX: Final = 100_000
UNKNOWN_SERVER_ERROR: Final = -1
_NUMBERED: Final = re.compile(r"(?:(?P<prefix>.*)\.)?(?P<number>0|[1-9][0-9]*)", re.DOTALL)

Answer = SendSuccess | SendError

# What Java's producer says of a record that it never handed to the network; everything else may have been appended.
_NEVER_SENT: Final = ("RecordTooLargeException", "SerializationException", "InvalidTopicException")
_NO_METADATA: Final = "not present in metadata"  # max.block.ms passed before the partition was even chosen


def outcome_of(answer: Answer) -> Outcome:
    """`ok` where an offset was told, `fail` only where the record surely never left the client."""
    if isinstance(answer, SendSuccess):
        return Outcome.OK if answer.offset >= 0 else Outcome.INFO
    kind = answer.exception.rpartition(".")[2]
    if kind in _NEVER_SENT or (kind == "TimeoutException" and _NO_METADATA in (answer.message or "")):
        return Outcome.FAIL
    return Outcome.INFO


def value_of(key: str | None, value: str | None) -> int:
    """The value id of a record told as text."""
    return foreign_value(_bytes(key), _bytes(value))


def key_of(content: Content) -> int:
    """The number that a key is in the recording: told by `about`, else the key itself; NULL for one that is none."""
    return key_number(_bytes(content.key)) if content.about is None else content.about


def write_answers(answers: Sequence[Answer], recorder: Recorder, clock: Clock, truth: Truth) -> None:
    """A SEND row for each answer, and for what the series of numbers says was sent beside them."""
    series = _Series.of(answers)
    if series is None:
        for answer in answers:
            _write(answer, recorder, clock)
        return
    for number in range(series.highest + 1):
        answer_there = series.answers.get(number)
        if answer_there is not None:
            for answer in answer_there:
                _write(answer, recorder, clock)
        else:
            series.write_unanswered(number, recorder, clock)
    found = truth.values.get(series.topic, frozenset())
    for number in range(series.highest + 1, series.highest + 1 + IN_FLIGHT_MAX):
        if series.value(number) in found:
            series.write_unanswered(number, recorder, clock)


def _write(answer: Answer, recorder: Recorder, clock: Clock) -> None:
    ok = isinstance(answer, SendSuccess)
    recorder.add(
        Op.SEND,
        topic=answer.topic,
        partition=answer.partition if isinstance(answer, SendSuccess) else NULL,
        offset=answer.offset if isinstance(answer, SendSuccess) else NULL,
        value=value_of(answer.key, answer.value),
        key=key_of(answer),
        transaction=NULL if answer.transaction is None else answer.transaction,
        outcome=outcome_of(answer),
        error=0 if ok else UNKNOWN_SERVER_ERROR,
        invoked_ns=clock.started_ns,
        completed_ns=clock.done_ns(answer.timestamp),
    )


class _Series:
    """Answers whose values count up."""

    def __init__(self, topic: str, prefix: str | None, answers: dict[int, list[Answer]], keys: int) -> None:
        self.topic = topic
        self.prefix = prefix
        self.answers = answers
        self.highest = max(answers)
        self._keys = keys

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> _Series | None:
        """None where the values are no one series to one topic, or the keys do not go round as its tool's do."""
        matches = [_NUMBERED.fullmatch(answer.value or "") for answer in answers]
        found = [match for match in matches if match is not None]
        if not answers or len(found) < len(answers):
            return None
        if len({answer.topic for answer in answers}) > 1 or len({match["prefix"] for match in found}) > 1:
            return None
        by_number: dict[int, list[Answer]] = {}
        for match, answer in zip(found, answers, strict=True):
            by_number.setdefault(int(match["number"]), []).append(answer)
        keys = [answer.key for answer in answers if answer.key is not None]
        if any(not key.isdigit() for key in keys) or len(keys) not in (0, len(answers)):
            return None
        period = 1 + max(map(int, keys), default=-1)
        made = cls(answers[0].topic, found[0]["prefix"], by_number, period)
        as_told = all(answer.key == made.key(number) for number, told in by_number.items() for answer in told)
        return made if as_told else None

    def key(self, number: int) -> str | None:
        """--repeating-keys goes round from 0."""
        return str(number % self._keys) if self._keys else None

    def value(self, number: int) -> int:
        text = str(number) if self.prefix is None else f"{self.prefix}.{number}"
        return value_of(self.key(number), text)

    def write_unanswered(self, number: int, recorder: Recorder, clock: Clock) -> None:
        recorder.add(
            Op.SEND,
            topic=self.topic,
            value=self.value(number),
            key=key_number(_bytes(self.key(number))),
            outcome=Outcome.INFO,
            invoked_ns=clock.started_ns,
        )


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()
