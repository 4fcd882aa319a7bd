"""What the scenarios of library-events share: the two applications, HTTP callers, and a look into the database."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource
from library_databases import Database

from kafkaos.apps.handle import AppHandle
from kafkaos.faults import ViolateMinIsr
from kafkaos.faults.waiting import until
from kafkaos.history.payload import foreign_value
from kafkaos.history.recorder import Recorder
from kafkaos.history.rows import NULL, Op, Outcome
from kafkaos.run import Chaos

HERE = Path(__file__).parent
TOPIC = "library-events"
GROUP = "library-events-listener-group"
RETRY_TOPIC, DEAD_LETTER_TOPIC = "library-events.RETRY", "library-events.DLT"
RETRY_GROUP = "retry-listener-group"
WAIT_S = 60
# A killed member's partitions wait for this.
SESSION = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}


@dataclass
class Library:
    """Starts the applications of one scenario. `source` is the folder with the package, or with a changed copy."""

    chaos: Chaos
    python: Path
    source: Path = HERE

    @property
    def cluster(self) -> Any:
        return self.chaos.cluster

    def topic(self, name: str = TOPIC, *, partitions: int = 3, **config: str) -> str:
        """A topic as the deployment would make it: where there are three brokers two must have a record."""
        least = "2" if len(self.cluster.brokers) > 2 else "1"
        return self.cluster.create_topic(
            name, partitions=partitions, config={"min.insync.replicas": least, **config}
        )

    def producer(
        self, database: Database, *, name: str = "producer", topics: Sequence[str] = (TOPIC,), **settings: Any
    ) -> AppHandle:
        """The HTTP service on a port that it keeps over restarts."""
        given = {
            "http_port": free_port(),
            "database_url": database.url,
            "send_timeout_ms": 1500,
            "scheduler_interval_s": 0.5,
            **settings,
        }
        return self._app(name, "libraryevents.producer", given, topics=topics)

    def consumer(
        self,
        database: Database,
        *,
        name: str = "consumer",
        group: str = GROUP,
        topics: Sequence[str] = (TOPIC,),
        start: bool = True,
        drained: bool = True,
        **settings: Any,
    ) -> AppHandle:
        """The service that writes to the database; the drain waits for it unless `drained=False`."""
        given = {
            "database_url": database.url,
            "group": group,
            "consumer_config": json.dumps(SESSION | settings.pop("consumer_config", {})),
            "scheduler_interval_s": 0.5,
            "backoff_interval_s": 0.1,
            **settings,
        }
        reads = (TOPIC,) if drained else ()
        return self._app(
            name, "libraryevents.consumer", given, topics=topics, reads=reads, group=group, start=start
        )

    @contextlib.contextmanager
    def too_few_replicas(self, topic: str = TOPIC) -> Iterator[None]:
        """Within the block the topic takes no record: followers are killed, or one broker is asked for two replicas."""
        fault = ViolateMinIsr(topic)
        if fault.available(self.cluster) is None:
            with self.chaos.fault(fault):
                yield
            self.cluster.wait_healthy(timeout_s=WAIT_S)
            return
        self.set_topic(topic, "min.insync.replicas", "4")
        yield
        self.set_topic(topic, "min.insync.replicas", "1")

    def set_topic(self, topic: str, name: str, value: str) -> None:
        """Change a setting of a topic, and wait until the brokers say that it is in force."""
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
        asked = self.cluster.admin().incremental_alter_configs([resource], request_timeout=WAIT_S)
        asked[resource].result(WAIT_S)
        wait_for(lambda: self.cluster.topic_config(topic)[name] == value, f"{name} of {topic} is {value}")

    def _app(self, name: str, module: str, settings: dict[str, Any], **more: Any) -> AppHandle:
        env = {f"LIBRARY_{key.upper()}": _text(value) for key, value in settings.items()}
        return self.chaos.app(name, [str(self.python), "-m", module], env=env, cwd=self.source, **more)


def _text(value: Any) -> str:
    if isinstance(value, set | frozenset | list | tuple):
        return json.dumps(sorted(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def changed_copy(folder: Path, file: str, old: str, new: str) -> Path:
    """The package with one place of one file changed: the application, broken on purpose."""
    shutil.copytree(
        HERE / "libraryevents", folder / "libraryevents", ignore=shutil.ignore_patterns("__pycache__")
    )
    path = folder / "libraryevents" / file
    code = path.read_text(encoding="utf-8")
    assert code.count(old) == 1, f"{file} has this {code.count(old)} times, not once: {old}"
    path.write_text(code.replace(old, new), encoding="utf-8")
    return folder


def free_port() -> int:
    """A port of the loopback address that nobody has at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def url_of(producer: AppHandle) -> str:
    """Where the HTTP service listens; the same over its restarts."""
    started = producer.events("startup_complete")[-1]
    return f"http://{started['host']}:{started['port']}"


def wait_for(condition: Callable[[], Any], what: str, *, timeout_s: float = WAIT_S) -> Any:
    """What the condition returned once it was true; an AssertionError at the deadline."""
    found = until(lambda: condition() or None, timeout_s=timeout_s)
    assert found, f"not seen within {timeout_s} s: {what}"
    return found


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
        run = json.loads((chaos.folder / "recording.json").read_text())["run"]
        self._recorder = Recorder(
            chaos.folder / "segments" / f"{name}.seg", client=name, incarnation=0, role="producer", run=run
        )
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

    def last_of_each(self) -> dict[int, str]:
        """The book name that each library event with an id had when its last event was accepted."""
        return {
            event.library_event_id: event.book_name
            for event in self.accepted
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


def mixed(count: int, *, callers: int, ids: int = 20) -> list[list[Event]]:
    """`count` events in all: every fifth a NEW one, the others updates of `ids` library events that a caller has."""
    lines: list[list[Event]] = [[] for _ in range(callers)]
    for number in range(count):
        caller, place = number % callers, number // callers
        is_new = place % 5 == 0
        lines[caller].append(new(number) if is_new else update(1 + caller * ids + place % ids, number))
    return lines


@contextlib.contextmanager
def calling(chaos: Chaos, producer: AppHandle, **more: Any) -> Iterator[Callers]:
    """Callers of a producer service, ended with the block."""
    callers = Callers(chaos, url_of(producer), **more)
    try:
        yield callers
    finally:
        callers.close()


def assert_in_database(callers: Callers, database: Database) -> None:
    """Every accepted event took effect once, of each library event the last update stands, and nothing else does."""
    entered = {row["event_id"] for row in database.rows("SELECT event_id FROM processed_event")}
    missing = [event for event in callers.accepted if event.event_id not in entered]
    assert not missing, f"{len(missing)} accepted events are not in the database; the first is {missing[0]}"
    rows = database.rows("SELECT library_event_id, library_event_type, book_name FROM library_event")
    given = {int(row["library_event_id"]): row["book_name"] for row in rows}
    expected = callers.last_of_each()
    wrong = {number: given.get(number) for number, name in expected.items() if given.get(number) != name}
    assert not wrong, (
        f"{len(wrong)} library events do not hold their last update; the first: {_first(wrong, expected)}"
    )
    without_id = Counter(event.book_name for event in callers.accepted if event.library_event_id is None)
    made = Counter(name for number, name in given.items() if number not in expected)
    assert made == without_id, f"NEW events that are not there once: {_first(dict(made - without_id), {})}"


def _first(wrong: dict[Any, Any], expected: dict[Any, Any]) -> str:
    key = next(iter(wrong), None)
    return f"{key} is {wrong.get(key)!r}, not {expected.get(key)!r}"
