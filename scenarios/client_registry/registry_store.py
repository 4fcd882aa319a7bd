"""The registry's database: the clients, and how far the log is applied, always changed together."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS client (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS position (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL, PRIMARY KEY (topic, partition)
) STRICT;
"""
_WORD = 1 << 64


class BadRecord(ValueError):
    """A record that is no operation on a client; it is logged and skipped."""


@dataclass(frozen=True)
class Change:
    """One record of the log: where it lies, and the operation that it asks for."""

    topic: str
    partition: int
    offset: int
    operation: str
    value: bytes | None


@dataclass(frozen=True)
class Applied:
    """A change that is in the database; `fingerprint` names all clients as they were right after it."""

    change: Change
    fingerprint: str
    error: str | None
    """Why it was skipped."""


class Store:
    """The SQLite database. Positions lie beside the clients: a crash leaves both before a record, or both after it."""

    def __init__(self, path: Path) -> None:
        # Readers are served by threads of their own, with a connection each.
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        # A power cut may take the last transactions back, clients and positions alike: they are in the log.
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self._sum = sum(_hash(body) for (body,) in self._db.execute("SELECT body FROM client"))

    @property
    def fingerprint(self) -> str:
        """Of all clients, in whatever order: two registries with the same clients have the same."""
        return f"{self._sum % _WORD:016x}"

    def next_offset(self, topic: str, partition: int) -> int | None:
        """Where the log goes on; None where nothing of it was applied."""
        row = self._db.execute(
            "SELECT next_offset FROM position WHERE topic = ? AND partition = ?", (topic, partition)
        ).fetchone()
        return None if row is None else int(row[0])

    def apply(
        self, changes: Iterable[Change], tell: Callable[[Applied], None] = lambda _: None
    ) -> list[Applied]:
        """Apply records and note the positions behind them, all or nothing.

        `tell` is given each while it may still be taken back: what a crash takes back is done, and told, again.
        """
        before, applied = self._sum, []
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for change in changes:
                applied.append(self._apply(change))
                tell(applied[-1])
                self._db.execute(
                    "INSERT INTO position VALUES (?, ?, ?) "
                    "ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset",
                    (change.topic, change.partition, change.offset + 1),
                )
            self._db.execute("COMMIT")
        except BaseException:
            self._sum = before
            self._db.execute("ROLLBACK")
            raise
        return applied

    def close(self) -> None:
        self._db.close()

    def _apply(self, change: Change) -> Applied:
        error = None
        try:
            self._operate(change)
        except BadRecord as problem:
            error = str(problem)
        return Applied(change, self.fingerprint, error)

    def _operate(self, change: Change) -> None:
        if change.operation == "CLIENT-PUT":
            client = _parse(change.value)
            if not isinstance(client, dict):
                raise BadRecord("the value is no client")
            self._put(_id(client.get("id")), json.dumps(client, sort_keys=True, separators=(",", ":")))
        elif change.operation == "CLIENT-DELETE":
            self._delete(_id(_parse(change.value)))
        else:
            raise BadRecord(f"there is no operation {change.operation!r}")

    def _put(self, client: int, body: str) -> None:
        self._forget(client)
        self._db.execute(
            "INSERT INTO client VALUES (?, ?) ON CONFLICT DO UPDATE SET body = excluded.body", (client, body)
        )
        self._sum += _hash(body)

    def _delete(self, client: int) -> None:
        self._forget(client)
        self._db.execute("DELETE FROM client WHERE id = ?", (client,))

    def _forget(self, client: int) -> None:
        row = self._db.execute("SELECT body FROM client WHERE id = ?", (client,)).fetchone()
        if row is not None:
            self._sum -= _hash(row[0])


def read_clients(path: Path) -> dict[int, str]:
    """All clients with their JSON, by a connection of its own."""
    return dict(_rows(path, "SELECT id, body FROM client"))


def _rows(path: Path, query: str) -> Iterator[tuple[int, str]]:
    connection = sqlite3.connect(path)
    try:
        yield from connection.execute(query)
    finally:
        connection.close()


def _parse(value: bytes | None) -> object:
    try:
        return json.loads(value or b"")
    except ValueError:
        raise BadRecord("the value is not JSON") from None


def _id(given: object) -> int:
    if type(given) is not int or given.bit_length() > 63:
        raise BadRecord("its id is no whole number of 64 bits")
    return given


def _hash(body: str) -> int:
    return int.from_bytes(hashlib.blake2b(body.encode(), digest_size=8).digest(), "big")
