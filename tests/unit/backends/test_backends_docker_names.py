"""Names that all clusters of a machine's Docker engine share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kafkaos.backends import docker_network
from kafkaos.backends.docker_cluster import DockerCluster
from kafkaos.backends.network import Subnet
from kafkaos.spec import ClusterSpec


class MadeUpNetwork:
    """Makes nothing, and keeps the names that it was given."""

    names: list[str]
    name = ""

    def __init__(self, **_: Any) -> None:
        pass

    def create(self) -> None:
        self.names.append(self.name)


def test_clusters_of_two_state_folders_may_have_the_same_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two users, say: each draws a number of its own, one in 249 times the other's, and the engine is one."""
    monkeypatch.setattr(docker_network, "Network", MadeUpNetwork)
    MadeUpNetwork.names = []
    nothing: Any = None
    for user in ("one", "another"):
        monkeypatch.setenv("KAFKAOS_STATE", str(tmp_path / user))
        cluster = DockerCluster(
            ClusterSpec(name="made-up", brokers=1), client=nothing, image=nothing, supervisor=nothing,
            subnet=Subnet(200, -1, 39092, 39093, 39094), log_folder=tmp_path,
        )  # fmt: skip
        cluster._networks.together(cluster.nodes)
        cluster._networks.apart(cluster.nodes)
        MadeUpNetwork.names += [cluster._wanted(node, tmp_path / "log").name for node in cluster.nodes]
    assert len(MadeUpNetwork.names) == 2 * (1 + 2 * len(cluster.nodes))
    half = len(MadeUpNetwork.names) // 2
    assert not {*MadeUpNetwork.names[:half]} & {*MadeUpNetwork.names[half:]}
