"""The Docker backend as far as it can be told without an engine: which one is asked, its refusals, what is removed."""

from __future__ import annotations

from typing import Any

import pytest

from kafkaos.backends import docker_engine, network
from kafkaos.backends.start import Setup, sweep


class FakeClient:
    """What is closed, and nothing else."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_containers_of_a_dead_harness_go_before_the_folders_that_they_write_into(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other way round a broker that still runs makes new files in a folder that is just being removed."""
    client, order = FakeClient(), []

    def swept(what: str) -> Any:
        return lambda *_: order.append(what)

    monkeypatch.setattr(docker_engine, "engine", lambda: client)
    monkeypatch.setattr(docker_engine, "sweep", swept("containers"))
    monkeypatch.setattr(network, "sweep", swept("folders"))
    sweep(Setup("docker"))
    assert order == ["containers", "folders"]
    assert client.closed
