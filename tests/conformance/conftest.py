"""Live clusters for the conformance suites, started once a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kafkaos.backends.process import ProcessCluster, start_cluster
from kafkaos.backends.processes import Supervisor
from kafkaos.spec import load_spec

StartCluster = Callable[[str], ProcessCluster]


@pytest.fixture(scope="package")
def supervisor() -> Iterator[Supervisor]:
    supervisor = Supervisor()
    yield supervisor
    supervisor.close()


@pytest.fixture(scope="package")
def started(supervisor: Supervisor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartCluster]:
    """A cluster by name, the same for all tests of this folder, and not idling beside those of others."""
    clusters: dict[str, ProcessCluster] = {}

    def start(name: str) -> ProcessCluster:
        if name not in clusters:
            folder = tmp_path_factory.mktemp(Path(name).stem)
            clusters[name] = start_cluster(load_spec(name), supervisor=supervisor, log_folder=folder)
        return clusters[name]

    yield start
    for cluster in clusters.values():
        cluster.close()
