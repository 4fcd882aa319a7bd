"""The consumer's tables, and the one transaction in which an event takes effect."""

from __future__ import annotations

import json
import time
from enum import StrEnum

import sqlalchemy as sa

from libraryevents.database import Number, connect, insert
from libraryevents.events import GENERATED_IDS_FROM, LibraryEvent, Record

metadata = sa.MetaData()
library_event = sa.Table(
    "library_event",
    metadata,
    sa.Column("library_event_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("library_event_type", sa.Text, nullable=False),
    sa.Column("book_id", sa.BigInteger, nullable=False),
    sa.Column("book_name", sa.Text, nullable=False),
    sa.Column("book_author", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
)
# The inbox: every event that took effect, once. It is what makes a second delivery, from whatever side, harmless.
processed_event = sa.Table(
    "processed_event",
    metadata,
    sa.Column("number", Number, primary_key=True, autoincrement=True),
    sa.Column("event_id", sa.Text, nullable=False, unique=True),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("kafka_partition", sa.Integer, nullable=False),
    sa.Column("kafka_offset", sa.BigInteger, nullable=False),
    sa.Column("effect", sa.Text, nullable=False),
)
failure_record = sa.Table(
    "failure_record",
    metadata,
    sa.Column("number", Number, primary_key=True, autoincrement=True),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("kafka_partition", sa.Integer, nullable=False),
    sa.Column("kafka_offset", sa.BigInteger, nullable=False),
    sa.Column("timestamp_ms", sa.BigInteger, nullable=False),
    sa.Column("record_key", sa.LargeBinary),
    sa.Column("record_value", sa.LargeBinary),
    sa.Column("headers", sa.Text, nullable=False),
    sa.Column("exception", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False, index=True),
    sa.Column("updated_ms", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("topic", "kafka_partition", "kafka_offset"),
)


class Status(StrEnum):
    """Of a failure record."""

    RETRY = "RETRY"
    DEAD = "DEAD"
    SUCCESS = "SUCCESS"


class Effect(StrEnum):
    """What an event did."""

    APPLIED = "applied"
    STALE = "stale"
    """A later update of the same library event was there before."""
    DUPLICATE = "duplicate"
    """It had taken effect before."""


class LibraryStore:
    """Each method is one transaction."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self.engine = connect(url, metadata, timeout_s=timeout_s)

    def apply(self, event: LibraryEvent, record: Record, *, failure: int | None = None) -> Effect:
        """Let an event take effect once; of a library event the highest version wins, in whatever order they come.

        `failure` is the number of the failure record that is done with this, in the same transaction.
        """
        with self.engine.begin() as connection:
            effect = self._apply(connection, event, record)
            if failure is not None:
                self._set_status(connection, failure, Status.SUCCESS)
            return effect

    def _apply(self, connection: sa.Connection, event: LibraryEvent, record: Record) -> Effect:
        inbox = {
            "event_id": record.event_id,
            "topic": record.topic,
            "kafka_partition": record.partition,
            "kafka_offset": record.offset,
            "effect": Effect.APPLIED,
        }
        entered = connection.execute(
            insert(self.engine, processed_event)
            .values(inbox)
            .on_conflict_do_nothing(index_elements=["event_id"])
            .returning(processed_event.c.number)
        ).scalar()
        if entered is None:
            return Effect.DUPLICATE
        row = {
            "library_event_id": GENERATED_IDS_FROM + entered
            if event.libraryEventId is None
            else event.libraryEventId,
            "library_event_type": event.libraryEventType,
            "book_id": event.book.bookId,
            "book_name": event.book.bookName,
            "book_author": event.book.bookAuthor,
            "version": record.version,
        }
        upsert = insert(self.engine, library_event).values(row)
        newer = {name: upsert.excluded[name] for name in row if name != "library_event_id"}
        written = connection.execute(
            upsert.on_conflict_do_update(
                index_elements=["library_event_id"],
                set_=newer,
                where=upsert.excluded.version >= library_event.c.version,
            ).returning(library_event.c.library_event_id)
        ).scalar()
        if written is not None:
            return Effect.APPLIED
        connection.execute(
            sa.update(processed_event).where(processed_event.c.number == entered).values(effect=Effect.STALE)
        )
        return Effect.STALE

    def keep_failure(self, record: Record, *, exception: str, status: Status) -> None:
        """A record that failed, by its place: read again after a crash it is kept once."""
        row = {
            "topic": record.topic,
            "kafka_partition": record.partition,
            "kafka_offset": record.offset,
            "timestamp_ms": record.timestamp_ms,
            "record_key": record.key,
            "record_value": record.value,
            "headers": json.dumps([(name, value.decode("latin-1")) for name, value in record.headers]),
            "exception": exception,
            "status": status,
            "updated_ms": _now_ms(),
        }
        place = ["topic", "kafka_partition", "kafka_offset"]
        with self.engine.begin() as connection:
            connection.execute(
                insert(self.engine, failure_record).values(row).on_conflict_do_nothing(index_elements=place)
            )

    def failures(self, *, at_most: int) -> list[tuple[int, Record]]:
        """The oldest with status RETRY."""
        query = (
            sa.select(failure_record)
            .where(failure_record.c.status == Status.RETRY)
            .order_by(failure_record.c.number)
            .limit(at_most)
        )
        with self.engine.connect() as connection:
            return [(row.number, _record(row)) for row in connection.execute(query)]

    def bury(self, failure: int, *, exception: str) -> None:
        """It will never succeed."""
        with self.engine.begin() as connection:
            self._set_status(connection, failure, Status.DEAD, exception=exception)

    def ping(self) -> None:
        """Raises where the database is not there."""
        with self.engine.connect() as connection:
            connection.execute(sa.text("SELECT 1"))

    def close(self) -> None:
        self.engine.dispose()

    def _set_status(self, connection: sa.Connection, number: int, status: Status, **more: str) -> None:
        change = sa.update(failure_record).where(failure_record.c.number == number)
        connection.execute(change.values(status=status, updated_ms=_now_ms(), **more))


def _record(row: sa.Row[tuple[object, ...]]) -> Record:
    return Record(
        topic=row.topic,
        key=row.record_key,
        value=row.record_value,
        headers=tuple((str(name), str(value).encode("latin-1")) for name, value in json.loads(row.headers)),
        partition=row.kafka_partition,
        offset=row.kafka_offset,
        timestamp_ms=row.timestamp_ms,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
