"""Who sends library events in the scenarios: HTTP callers, and a feed that goes to the topic itself."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import urllib3
from confluent_kafka import KafkaError, Message, Producer
from library_world import TOPIC, WAIT_S, url_of, wait_for

from kafkaos.apps.handle import AppHandle
from kafkaos.history.payload import foreign_value
from kafkaos.history.recorder import Recorder
from kafkaos.history.rows import NULL, Op, Outcome
from kafkaos.run import Chaos


@dataclass(frozen=True)
class Event:
    """One request: a NEW event or an UPDATE, and what is to be in the database after it."""

    library_event_id: int | None
    kind: str
    book_id: int
    book_name: str
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def body(self) -> bytes:
        """The JSON that the service makes of it as well: the value of its record."""
        book = {"bookId": self.book_id, "bookName": self.book_name, "bookAuthor": "Dilip"}
        event = {
            "libraryEventId": self.library_event_id,
            "libraryEventType": self.kind,
            "book": book,
        }
        return json.dumps(event, separators=(",", ":")).encode()

    @property
    def key(self) -> bytes | None:
        return None if self.library_event_id is None else str(self.library_event_id).encode()


def new(number: int) -> Event:
    """A NEW event with no id, of a book that no other event has."""
    return Event(None, "NEW", number, f"book {number}")


def update(library_event_id: int, number: int) -> Event:
    return Event(library_event_id, "UPDATE", library_event_id, f"edition {number} of {library_event_id}")


class Callers:
    """HTTP clients that send each event until it is accepted (answered 2xx), each caller its own events in order.

    To the recording they are one producer: a request is a send, a 2xx its acknowledgement, everything else unknown.
    """

    def __init__(self, chaos: Chaos, url: str, *, topic: str = TOPIC, name: str = "http-callers") -> None:
        self._recorder = _recorder(chaos, name)
        self._url = f"{url}/v1/libraryevent"
        self._topic = topic
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self.accepted: list[Event] = []
        self.answers: Counter[int | str] = Counter()
        """By HTTP status, or by the exception where there was no answer."""

    def start(self, lines: Sequence[Sequence[Event]]) -> None:
        """One caller, a thread, for each sequence of events."""
        for events in lines:
            thread = threading.Thread(target=self._call, args=(events,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def send(self, *events: Event) -> None:
        """One after the other, each until it is accepted."""
        self._call(events)

    def ask(self, method: str, body: dict[str, Any]) -> tuple[int, str]:
        """One request outside the recording: its status and text."""
        answer = urllib3.request(method, self._url, json=body, timeout=WAIT_S, retries=False)
        return answer.status, answer.data.decode()

    def wait_accepted(self, count: int, *, timeout_s: float = WAIT_S) -> None:
        wait_for(lambda: len(self.accepted) >= count, f"{count} accepted events", timeout_s=timeout_s)

    def join(self, *, timeout_s: float) -> None:
        """Wait until every event is accepted."""
        deadline_s = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        assert not any(thread.is_alive() for thread in self._threads), (
            f"only {len(self.accepted)} events were accepted within {timeout_s} s; answers: {dict(self.answers)}"
        )

    def close(self) -> None:
        """End the callers; what they were not answered yet stays unknown."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(WAIT_S)
        self._recorder.close()

    @property
    def events(self) -> list[Event]:
        """What was accepted, each once, in the order of its first acceptance."""
        return list({event.event_id: event for event in self.accepted}.values())

    def last_of_each(self) -> dict[int, str]:
        """The book name that each library event with an id had when its last event was accepted."""
        return {
            event.library_event_id: event.book_name
            for event in self.events
            if event.library_event_id is not None
        }

    def _call(self, events: Sequence[Event]) -> None:
        with urllib3.PoolManager(
            maxsize=1, retries=False, timeout=urllib3.Timeout(connect=2, read=30)
        ) as pool:
            for event in events:
                while not self._stopping.is_set() and not self._try(pool, event):
                    self._stopping.wait(0.05)

    def _try(self, pool: urllib3.PoolManager, event: Event) -> bool:
        row = self._recorder.begin(
            Op.SEND,
            topic=self._topic,
            value=foreign_value(event.key, event.body),
            key=NULL if event.library_event_id is None else event.library_event_id,
        )
        headers = {"Content-Type": "application/json", "Idempotency-Key": event.event_id}
        method = "POST" if event.kind == "NEW" else "PUT"
        try:
            answer = pool.request(method, self._url, body=event.body, headers=headers)
        except urllib3.exceptions.HTTPError as error:
            self.answers[type(error).__name__] += 1
            return False
        self.answers[answer.status] += 1
        if not 200 <= answer.status < 300:
            return False
        with self._lock:  # the order of acceptance, which for one library event is that of its caller
            self._recorder.complete(row, Outcome.OK)
            self.accepted.append(event)
        return True


def mixed(count: int, *, callers: int, stage: int = 0, ids: int = 20) -> list[list[Event]]:
    """`count` events in all: every fifth a NEW one, the others updates of `ids` library events that a caller has.

    Each `stage` has events and library events of its own, so that a scenario has some left for its next fault.
    """
    lines: list[list[Event]] = [[] for _ in range(callers)]
    for number in range(stage * count, (stage + 1) * count):
        caller, place = number % callers, number // callers
        first_id = 1 + (stage * callers + caller) * ids
        lines[caller].append(new(number) if place % 5 == 0 else update(first_id + place % ids, number))
    return lines


class Feed:
    """Puts records into the topic itself, where a scenario needs no HTTP service or what no service would accept."""

    def __init__(self, chaos: Chaos, *, topic: str = TOPIC, name: str = "feed") -> None:
        self._recorder = _recorder(chaos, name)
        self._topic = topic
        config = {"acks": "all", "enable.idempotence": True, "partitioner": "murmur2_random"}
        self._producer = Producer({**chaos.cluster.client_config(), **config})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._recorder.close()

    def send(self, *events: Event) -> None:
        """Returns once all are acknowledged."""
        for event in events:
            self._produce(event.key, event.body, [("event-id", event.event_id.encode())])
        self._flush()

    def put(self, key: bytes | None, value: bytes | None) -> None:
        """Any bytes, with no header."""
        self._produce(key, value, [])
        self._flush()

    def _produce(self, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
        row = self._recorder.begin(Op.SEND, topic=self._topic, value=foreign_value(key, value))

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            if error is None:
                self._recorder.complete(
                    row, Outcome.OK, partition=message.partition(), offset=message.offset()
                )

        self._producer.produce(self._topic, key=key, value=value, headers=headers, on_delivery=on_delivery)

    def _flush(self) -> None:
        assert not self._producer.flush(WAIT_S), "records were not acknowledged in time"


def _recorder(chaos: Chaos, name: str) -> Recorder:
    """Rows of a producer that is part of the scenario itself."""
    run = json.loads((chaos.folder / "recording.json").read_text())["run"]
    path = chaos.folder / "segments" / f"{name}.seg"
    return Recorder(path, client=name, incarnation=0, role="producer", run=run)


@contextlib.contextmanager
def calling(chaos: Chaos, producer: AppHandle, **more: Any) -> Iterator[Callers]:
    """Callers of a producer service, ended with the block."""
    callers = Callers(chaos, url_of(producer), **more)
    try:
        yield callers
    finally:
        callers.close()
