"""The registry's reference model: a fold with the properties of one, and a store that agrees with it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from registry_model import DELETE, PUT, Operation, differences, fingerprint, fingerprints, fold, step
from registry_store import Change, Store, read_clients

IDS = st.integers(0, 5)
PUTS = st.builds(
    lambda client, name: Operation(PUT, json.dumps({"id": client, "name": name})), IDS, st.text(max_size=3)
)
DELETES = st.builds(lambda client: Operation(DELETE, str(client)), IDS)
BAD = st.builds(
    Operation,
    st.sampled_from([PUT, DELETE, "CLIENT-MERGE", ""]),
    st.sampled_from(
        ["", "{", "[]", '{"name": "x"}', '{"id": true}', "1.5", "true", str(1 << 63), '{"id": "1"}']
    ),
)
LOGS = st.lists(st.one_of(PUTS, DELETES, BAD), max_size=25)


def id_of(operation: Operation) -> int:
    given = json.loads(operation.value)
    return given if isinstance(given, int) else given["id"]


@given(log=LOGS, more=LOGS)
def test_folding_goes_on_where_it_stopped(log: list[Operation], more: list[Operation]) -> None:
    """The fold of a longer log is the fold of the rest from the state before: restarting changes nothing."""
    state = fold(log)
    for operation in more:
        state = step(state, operation)
    assert state == fold(log + more)


@given(log=LOGS)
def test_reading_the_log_again_from_the_beginning_changes_nothing(log: list[Operation]) -> None:
    """Each client's last operation decides, so a second reading of the whole log ends in the same state."""
    assert fold(log + log) == fold(log)


@given(log=st.lists(st.one_of(PUTS, DELETES), max_size=25))
def test_the_last_operation_of_a_client_decides(log: list[Operation]) -> None:
    """A client is there exactly if its last operation was a put, and as that says."""
    last = {id_of(operation): operation for operation in log}
    expected = {
        client: json.loads(last_one.value) for client, last_one in last.items() if last_one.kind == PUT
    }
    assert {client: json.loads(text) for client, text in fold(log).items()} == expected


@given(log=LOGS, bad=BAD)
def test_what_is_no_operation_is_passed_over(log: list[Operation], bad: Operation) -> None:
    """Unknown operations and broken values change no state."""
    assert step(fold(log), bad) == fold(log)


@given(log=LOGS, other=LOGS)
def test_fingerprints_and_differences_tell_states_apart(log: list[Operation], other: list[Operation]) -> None:
    """Equal states have equal fingerprints and no differences, different ones have neither."""
    one, two = fold(log), fold(other)
    assert (fingerprint(one) == fingerprint(two)) == (one == two)
    assert (not differences(one, two)) == (one == two)


@settings(deadline=None, max_examples=15)  # each example opens a database again and again
@given(log=LOGS, batch=st.integers(1, 7))
def test_the_store_is_the_fold_at_every_point_and_after_every_restart(
    log: list[Operation], batch: int
) -> None:
    """The application's database agrees with the model after each record, with a restart after each batch."""
    expected = fingerprints(log)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "registry.db"
        for first in range(0, len(log), batch):
            store = Store(path)
            assert store.next_offset("t", 0) == (first or None)
            assert store.fingerprint == (expected[first - 1] if first else fingerprint({}))
            changes = [
                Change("t", 0, offset, log[offset].kind, log[offset].value.encode())
                for offset in range(first, min(first + batch, len(log)))
            ]
            assert [applied.fingerprint for applied in store.apply(changes)] == expected[
                first : first + batch
            ]
            store.close()
        if log:
            assert read_clients(path) == fold(log)
