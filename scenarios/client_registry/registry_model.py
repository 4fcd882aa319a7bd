"""What the registry must hold: the fold of its log, as a pure function. It shares no code with the application."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PUT = "CLIENT-PUT"
DELETE = "CLIENT-DELETE"

State = Mapping[int, str]
"""Each client's id with its JSON, in one way of writing it."""


@dataclass(frozen=True)
class Operation:
    """One record of the log: what to do, and its value as text."""

    kind: str
    value: str


def step(state: State, operation: Operation) -> dict[int, str]:
    """The state after one more record; what is neither a good put nor a good delete changes nothing."""
    after = dict(state)
    client = _client(operation)
    if client is None:
        return after
    if operation.kind == PUT:
        after[client["id"]] = json.dumps(client, sort_keys=True, separators=(",", ":"))
    else:
        after.pop(client["id"], None)
    return after


def fold(operations: Iterable[Operation]) -> dict[int, str]:
    """The state after all of them."""
    state: dict[int, str] = {}
    for operation in operations:
        state = step(state, operation)
    return state


def fingerprint(state: State) -> str:
    """One number for a whole state, whatever the order of its clients: the sum of their hashes."""
    total = sum(
        int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
        for text in state.values()
    )
    return f"{total % (1 << 64):016x}"


def fingerprints(operations: Iterable[Operation]) -> list[str]:
    """The fingerprint after each of them."""
    state: dict[int, str] = {}
    found = []
    for operation in operations:
        state = step(state, operation)
        found.append(fingerprint(state))
    return found


def differences(is_: State, should: State, *, at_most: int = 5) -> list[str]:
    """In words, the first few clients that differ."""
    told = []
    for client in sorted(is_.keys() | should.keys()):
        if is_.get(client) == should.get(client):
            continue
        if client not in should:
            told.append(f"client {client} is there and was deleted")
        elif client not in is_:
            told.append(f"client {client} is missing")
        else:
            told.append(f"client {client} is {is_[client]} and should be {should[client]}")
    return told[:at_most]


def _client(operation: Operation) -> dict[str, Any] | None:
    try:
        given = json.loads(operation.value)
    except ValueError:
        return None
    if operation.kind == DELETE and _is_id(given):
        return {"id": given}
    if operation.kind == PUT and isinstance(given, dict) and _is_id(given.get("id")):
        return given
    return None


def _is_id(given: object) -> bool:
    """A whole number of 64 bits."""
    return isinstance(given, int) and not isinstance(given, bool) and -(1 << 63) <= given < 1 << 63
