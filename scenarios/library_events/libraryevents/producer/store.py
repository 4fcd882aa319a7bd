"""The database of sends that failed: what is in it with status RETRY is still owed to Kafka."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from libraryevents.database import Number, connect, insert
from libraryevents.events import Record

metadata = sa.MetaData()
failed_send = sa.Table(
    "failed_send",
    metadata,
    sa.Column("number", Number, primary_key=True, autoincrement=True),
    sa.Column("event_id", sa.Text, nullable=False, unique=True),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("record_key", sa.LargeBinary),
    sa.Column("record_value", sa.LargeBinary),
    sa.Column("headers", sa.Text, nullable=False),
    sa.Column("exception", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
)


class Status(StrEnum):
    RETRY = "RETRY"
    SUCCESS = "SUCCESS"


@dataclass(frozen=True)
class FailedSend:
    """One row that waits to be sent again."""

    number: int
    record: Record


class FailedSends:
    """Every method is one transaction, and blocks: call it in a thread."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._engine = connect(url, metadata, timeout_s=timeout_s)

    def store(self, record: Record, *, event_id: str, error: str) -> None:
        """Keep a record until it is sent; when this returns it is durable."""
        row = {
            "event_id": event_id,
            "topic": record.topic,
            "record_key": record.key,
            "record_value": record.value,
            "headers": json.dumps([(name, value.decode()) for name, value in record.headers]),
            "exception": error,
            "status": Status.RETRY,
            "updated_ms": _now_ms(),
        }
        statement = insert(self._engine, failed_send).values(row)
        with self._engine.begin() as connection:
            # A caller that asks again with the same Idempotency-Key brings the same event.
            connection.execute(statement.on_conflict_do_nothing(index_elements=["event_id"]))

    def waiting(self, *, at_most: int) -> list[FailedSend]:
        """The oldest that wait for a retry."""
        query = (
            sa.select(failed_send)
            .where(failed_send.c.status == Status.RETRY)
            .order_by(failed_send.c.number)
            .limit(at_most)
        )
        with self._engine.connect() as connection:
            return [_failed_send(row) for row in connection.execute(query)]

    def sent(self, numbers: list[int]) -> None:
        """They are in Kafka now."""
        change = sa.update(failed_send).where(failed_send.c.number.in_(numbers))
        values = {"status": Status.SUCCESS, "attempts": failed_send.c.attempts + 1, "updated_ms": _now_ms()}
        with self._engine.begin() as connection:
            connection.execute(change.values(values))

    def failed_again(self, numbers: list[int], *, error: str) -> None:
        """They stay RETRY, and tell why."""
        change = sa.update(failed_send).where(failed_send.c.number.in_(numbers))
        values = {"exception": error, "attempts": failed_send.c.attempts + 1, "updated_ms": _now_ms()}
        with self._engine.begin() as connection:
            connection.execute(change.values(values))

    def counts(self) -> dict[str, int]:
        """How many there are of each status."""
        query = sa.select(failed_send.c.status, sa.func.count()).group_by(failed_send.c.status)
        with self._engine.connect() as connection:
            found = {str(status): int(count) for status, count in connection.execute(query)}
        return {status.value: found.get(status.value, 0) for status in Status}

    def close(self) -> None:
        self._engine.dispose()


def _failed_send(row: sa.Row[tuple[object, ...]]) -> FailedSend:
    headers = tuple((str(name), str(value).encode()) for name, value in json.loads(row.headers))
    record = Record(topic=row.topic, key=row.record_key, value=row.record_value, headers=headers)
    return FailedSend(number=row.number, record=record)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
