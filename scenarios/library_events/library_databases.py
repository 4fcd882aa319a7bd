"""The databases of the scenarios: SQLite files, and a real PostgreSQL server; both asked from outside."""

from __future__ import annotations

import contextlib
import csv
import io
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

READY_DEADLINE_S = 60.0
USER = "library"

Row = dict[str, str]


class Database(Protocol):
    """One empty database for one scenario."""

    @property
    def url(self) -> str:
        """As SQLAlchemy takes it."""

    def rows(self, query: str) -> list[Row]:
        """The rows of a query, every value as text; none where the table does not exist yet."""

    def run(self, script: str) -> None:
        """Statements, committed."""

    def held(self, table: str) -> contextlib.AbstractContextManager[None]:
        """Nobody else can write to the table (SQLite: to the database) within the block; reading goes on."""


class SqliteDatabase:
    """A file. Its writer lock is what `held` takes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def url(self) -> str:
        return f"sqlite:///{self._path}"

    def rows(self, query: str) -> list[Row]:
        with contextlib.closing(self._connect()) as connection:
            connection.row_factory = sqlite3.Row
            try:
                return [
                    {key: str(row[key]) for key in row.keys()}  # noqa: SIM118 (a Row is no mapping)
                    for row in connection.execute(query)
                ]
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return []
                raise

    def run(self, script: str) -> None:
        with contextlib.closing(self._connect()) as connection:
            connection.executescript(script)

    @contextlib.contextmanager
    def held(self, table: str) -> Iterator[None]:  # noqa: ARG002 (SQLite locks all tables)
        with contextlib.closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=30, isolation_level=None)


class PostgresDatabase:
    """A database of a server, asked through psql."""

    def __init__(self, psql: Path, port: int, name: str) -> None:
        self._psql = psql
        self._port = port
        self._name = name

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self._port}/{self._name}"

    def rows(self, query: str) -> list[Row]:
        done = self._ask("--csv", "--command", query)
        if "does not exist" in done.stderr:
            return []
        _check(done)
        return list(csv.DictReader(io.StringIO(done.stdout)))

    def run(self, script: str) -> None:
        _check(self._ask("--command", script))

    @contextlib.contextmanager
    def held(self, table: str) -> Iterator[None]:
        holder = subprocess.Popen(
            self._command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            holder.stdin.write(f"BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE; SELECT 'held';\n")
            holder.stdin.flush()
            while (line := holder.stdout.readline().strip()) != "held":
                assert "ERROR" not in line, line
                assert line or holder.poll() is None, "psql ended before it had the lock"
            yield
        finally:
            holder.stdin.close()  # psql ends, and the server rolls back
            holder.wait(READY_DEADLINE_S)
            holder.stdout.close()

    def _ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command(), *arguments],
            capture_output=True,
            text=True,
            timeout=READY_DEADLINE_S,
            check=False,
        )

    def _command(self) -> list[str]:
        where = ["--host=127.0.0.1", f"--port={self._port}", f"--username={USER}", self._name]
        return [str(self._psql), "--no-psqlrc", "--quiet", *where]


def _check(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0 and "ERROR" not in done.stderr, done.stderr  # noqa: PT018
