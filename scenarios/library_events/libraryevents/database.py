"""One engine for SQLite and PostgreSQL, and the statement that both have in their own dialect: the upsert."""

from __future__ import annotations

import logging
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InterfaceError, OperationalError
from tenacity import before_sleep_log, retry, retry_if_exception_type, stop_after_delay, wait_exponential

log = logging.getLogger(__name__)

Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A primary key that counts by itself: in SQLite only INTEGER does."""


def connect(url: str, metadata: sa.MetaData, *, timeout_s: float) -> sa.Engine:
    """An engine whose tables exist. A server that is not up yet is tried again for a minute."""
    name = sa.make_url(url).get_backend_name()
    if name == "sqlite":
        engine = sa.create_engine(url, connect_args={"timeout": timeout_s})
        sa.event.listen(engine, "connect", _sqlite_durable_and_concurrent)
    else:
        milliseconds = int(timeout_s * 1000)
        options = f"-c lock_timeout={milliseconds} -c statement_timeout={milliseconds}"
        arguments = {"connect_timeout": max(1, int(timeout_s)), "options": options}
        engine = sa.create_engine(url, connect_args=arguments, pool_pre_ping=True, pool_timeout=timeout_s)
    _make_tables(engine, metadata)
    return engine


@retry(
    retry=retry_if_exception_type((OperationalError, InterfaceError)),
    wait=wait_exponential(multiplier=0.2, max=5),
    stop=stop_after_delay(60),
    before_sleep=before_sleep_log(log, logging.WARNING),
    reraise=True,
)
def _make_tables(engine: sa.Engine, metadata: sa.MetaData) -> None:
    metadata.create_all(engine)


def insert(engine: sa.Engine, table: sa.Table) -> Any:
    """`INSERT` with `on_conflict_do_nothing` and `on_conflict_do_update`, which the two dialects share."""
    return sqlite.insert(table) if engine.dialect.name == "sqlite" else postgresql.insert(table)


def _sqlite_durable_and_concurrent(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    # Readers do not block the writer, and what was committed survives a crash of the process.
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
