"""The event, its record in Kafka, and the rules that make it valid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

EVENT_ID = "event-id"
"""Header: one id for each accepted event, the same however often it is sent; what makes duplicates harmless."""
EVENT_VERSION = "event-version"
"""Header: rises with the order in which events were accepted (ns); of one library event the highest wins."""
GENERATED_IDS_FROM = 2**31
"""Ids of the database's making start here; those that callers choose for a NEW event are below."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class InvalidEvent(ValueError):
    """The record can never be processed: no event, or one that breaks a rule."""


class EventType(StrEnum):
    NEW = "NEW"
    UPDATE = "UPDATE"


class Book(BaseModel):
    model_config = ConfigDict(extra="forbid")

    bookId: int
    bookName: Text
    bookAuthor: Text


class LibraryEvent(BaseModel):
    """As it travels: the fields' names and order are those of the notes."""

    model_config = ConfigDict(extra="forbid")

    libraryEventId: int | None = Field(default=None, ge=0)
    libraryEventType: EventType | None = None
    book: Book

    def as_type(self, kind: EventType) -> LibraryEvent:
        """The same event with the type that the HTTP verb says; InvalidEvent where it says another one."""
        if self.libraryEventType not in (None, kind):
            raise InvalidEvent(
                f"libraryEventType is {self.libraryEventType}, but this request is for {kind} events: "
                "POST a NEW event, PUT an UPDATE"
            )
        return self.model_copy(update={"libraryEventType": kind})


def decode(value: bytes | None) -> LibraryEvent:
    """The event in a record; InvalidEvent says in one line what is wrong with it."""
    try:
        event = LibraryEvent.model_validate_json(value or b"")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the record"
        raise InvalidEvent(f"no library event: {where}: {first['msg']}") from error
    if event.libraryEventType is None:
        raise InvalidEvent("no library event: libraryEventType is missing")
    if event.libraryEventType is EventType.UPDATE and event.libraryEventId is None:
        raise InvalidEvent("an UPDATE needs a libraryEventId, and this one has none")
    return event


@dataclass(frozen=True)
class Record:
    """What goes into, or came out of, a topic. `partition` and `offset` are None before it was sent."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None
    offset: int | None = None
    timestamp_ms: int = 0

    def header(self, name: str) -> str | None:
        """The last header of that name (as Kafka's clients do), or None."""
        found = [value for key, value in self.headers if key == name]
        return found[-1].decode(errors="replace") if found else None

    def with_headers(self, **named: str) -> Record:
        """A copy with these headers instead of older ones of the same names (`_` stands for `-`)."""
        new = {name.replace("_", "-"): text.encode() for name, text in named.items()}
        kept = tuple(header for header in self.headers if header[0] not in new)
        return replace(self, headers=(*kept, *new.items()))

    @property
    def event_id(self) -> str:
        """What names the event; of a sender that gives no id, its first place in the log."""
        given = self.header(EVENT_ID)
        if given:
            return given
        origin = [self.header(f"x-original-{part}") for part in ("topic", "partition", "offset")]
        if all(origin):
            return "-".join(part or "" for part in origin)
        return f"{self.topic}-{self.partition}-{self.offset}"

    @property
    def version(self) -> int:
        """What orders the updates of one library event, in ns; without the header the record's timestamp."""
        given = self.header(EVENT_VERSION)
        if given and given.isdecimal():
            return int(given)
        original = self.header("x-original-timestamp")
        milliseconds = int(original) if original and original.isdecimal() else self.timestamp_ms
        return milliseconds * 1_000_000


def record_of(event: LibraryEvent, *, topic: str, event_id: str, version: int) -> Record:
    """The record of an accepted event: its key is the library event's id, so that its updates keep their order."""
    key = None if event.libraryEventId is None else str(event.libraryEventId).encode()
    headers = ((EVENT_ID, event_id.encode()), (EVENT_VERSION, str(version).encode()))
    return Record(topic=topic, key=key, value=event.model_dump_json().encode(), headers=headers)
