"""What must be in the consumer's database, and how the database itself is made to refuse a record."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from library_databases import Database
from library_traffic import Callers


def assert_in_database(callers: Callers, database: Database) -> None:
    """Every accepted event took effect once, of each library event the last update stands, and nothing else does."""
    entered = {row["event_id"] for row in database.rows("SELECT event_id FROM processed_event")}
    missing = [event for event in callers.events if event.event_id not in entered]
    assert not missing, f"{len(missing)} accepted events are not in the database; the first is {missing[0]}"
    rows = database.rows("SELECT library_event_id, library_event_type, book_name FROM library_event")
    given = {int(row["library_event_id"]): row["book_name"] for row in rows}
    expected = callers.last_of_each()
    wrong = {number: given.get(number) for number, name in expected.items() if given.get(number) != name}
    assert not wrong, (
        f"{len(wrong)} library events do not hold their last update; the first: {_first(wrong, expected)}"
    )
    without_id = Counter(event.book_name for event in callers.events if event.library_event_id is None)
    made = Counter(name for number, name in given.items() if number not in expected)
    assert made == without_id, f"NEW events that are not there once: {_first(dict(made - without_id), {})}"


def _first(wrong: dict[Any, Any], expected: dict[Any, Any]) -> str:
    key = next(iter(wrong), None)
    return f"{key} is {wrong.get(key)!r}, not {expected.get(key)!r}"


@contextlib.contextmanager
def refused_id(database: Database, library_event_id: int) -> Iterator[None]:
    """Within the block the database itself refuses to write this library event."""
    when = f"NEW.library_event_id = {library_event_id}"
    if "sqlite" in database.url:
        database.run(
            f"CREATE TRIGGER refuse BEFORE INSERT ON library_event WHEN {when} "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
        yield
        database.run("DROP TRIGGER refuse")
        return
    database.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = 'check_violation'; END $$"
    )
    database.run(
        f"CREATE TRIGGER refuse BEFORE INSERT ON library_event FOR EACH ROW WHEN ({when}) "
        "EXECUTE FUNCTION refuse()"
    )
    yield
    database.run("DROP TRIGGER refuse ON library_event")
