"""Undoing what a second fault came on top of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from kafkaos.faults import World, heal_pending
from kafkaos.faults.pressure import MAX_CONNECTIONS, RELEASE_CONNECTIONS
from kafkaos.faults.undo import note_node


def test_a_limit_is_taken_back_from_a_broker_that_died_under_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of connections outlives the broker's process: it is started again, and the limit is taken back too."""
    paper: Any = world.cluster
    for name in ("elect_leader", "reassign", "alter_topic", "alter_quota"):
        monkeypatch.setattr(paper, name, paper.observe, raising=False)  # not asked here

    def alter_broker(node_id: int, settings: Mapping[str, str | None]) -> None:
        paper.log.append(f"alter {node_id} {dict(settings)}")

    monkeypatch.setattr(paper, "alter_broker", alter_broker, raising=False)
    note_node(world, RELEASE_CONNECTIONS, 2, settings={MAX_CONNECTIONS: None})
    paper.kill(2)
    heal_pending(world)
    assert paper.log == ["kill 2", "start 2", f"alter 2 {{{MAX_CONNECTIONS!r}: None}}"]
