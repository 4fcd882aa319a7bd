"""Fixtures of the library-events scenarios."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from library_databases import Database, SqliteDatabase
from library_postgres import PostgresServer
from library_world import HERE, Library

from kafkaos.apps.venv import environment


@pytest.fixture(scope="session")
def library_python(kafkaos_session) -> Path:
    """The Python of the applications, with what they need and nothing of kafkaos."""
    return environment(HERE / "requirements.txt", progress=kafkaos_session.progress)


@pytest.fixture
def library(chaos, library_python) -> Library:
    """The applications, as shipped."""
    return Library(chaos, library_python)


@pytest.fixture(scope="session")
def postgres(library_python, kafkaos_session) -> Iterator[PostgresServer]:
    """A PostgreSQL server of this session."""
    asked = [library_python, "-I", "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"]
    site = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    server = PostgresServer(Path(site), kafkaos_session.pool.supervisor)
    yield server
    server.close()


@pytest.fixture
def databases(chaos) -> Callable[[str], Database]:
    """Makes SQLite databases in the run's folder, each by its name."""
    return lambda name: SqliteDatabase(chaos.folder / f"{name}.db")


@pytest.fixture
def either_database(request, kafka_cluster) -> Callable[[str], Database]:
    """SQLite on plain clusters, PostgreSQL on those with TLS: a run of all has both, and each only once."""
    if kafka_cluster.spec.security == "plain":
        return request.getfixturevalue("databases")
    server = request.getfixturevalue("postgres")
    return lambda name: server.database()  # noqa: ARG005 (a server numbers its databases)


@pytest.fixture
def tell(chaos, kafkaos_session, request) -> Callable[..., None]:
    """Keeps counts of a scenario in its recording, and prints them."""

    def told(**counts: Any) -> None:
        chaos.phase("counts", **counts)
        listed = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items())
        kafkaos_session.progress(f"{request.node.name}: {listed}")

    return told
