"""The client registry's scenario sees what it is there for: broken on purpose, the registry fails it with a witness."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REGISTRY = Path(__file__).parents[2] / "scenarios" / "client_registry"

pytestmark = pytest.mark.kafka_cluster("single")

IGNORES_A_DELETE = """
class Broken(registry_store.Store):
    def _delete(self, client):
        pass
"""
NOTES_THE_POSITION_BEFORE_THE_WORK = """
class Broken(registry_store.Store):
    told = 0

    def apply(self, changes, tell):
        def tell_and_wait(applied):
            tell(applied)
            self.told += 1
            # The kill comes after so many, however late: it finds the first incarnation in the middle of this batch.
            while self.told == SOME and os.environ["KAFKAOS_INCARNATION"] == "0":
                time.sleep(60)

        for change in changes:
            self._db.execute(
                "INSERT INTO position VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next_offset = excluded.next_offset",
                (change.topic, change.partition, change.offset + 1),
            )
        time.sleep(0.2)  # the work takes its time, so that the batches are not of a few records
        return super().apply(changes, tell_and_wait)
"""


@pytest.fixture
def world_of(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The scenario's own words."""
    monkeypatch.syspath_prepend(str(REGISTRY))
    import registry_world

    return registry_world


@pytest.fixture
def broken(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a registry whose store is another one."""

    def make(store: str) -> Path:
        program = tmp_path / "broken_registry.py"
        program.write_text(
            f"import os\nimport sys\nimport time\n\nimport registry_app\nimport registry_store\n\n{store}\n\n"
            "registry_app.Store = Broken\nsys.exit(registry_app.main())\n"
        )
        return program

    return make


def test_a_registry_that_ignores_a_delete_is_caught(
    kafka_cluster: Any, chaos: Any, world_of: ModuleType, broken: Callable[[str], Path]
) -> None:
    """The witness is the first delete after which the state is not the fold of the log."""
    world = world_of.Registries(kafka_cluster, chaos)
    with pytest.raises(
        AssertionError,
        match=r"was not the fold of the log after offset \d+ \(Operation\(kind='CLIENT-DELETE'",
    ):
        world_of.kill_and_rebuild(world, program=broken(IGNORES_A_DELETE))


def test_a_registry_that_commits_before_the_work_is_caught(
    kafka_cluster: Any, chaos: Any, world_of: ModuleType, broken: Callable[[str], Path]
) -> None:
    """Killed in its work it never does the rest: the witness is the incarnation that went on without it."""
    world = world_of.Registries(kafka_cluster, chaos)
    program = broken(f"SOME = {world_of.SOME}\n{NOTES_THE_POSITION_BEFORE_THE_WORK}")
    with pytest.raises(
        AssertionError, match=r"registry \(incarnation 1\) (began with another state|was not the fold)"
    ):
        world_of.kill_and_rebuild(world, program=program)
