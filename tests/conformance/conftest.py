"""Live clusters for the conformance suites, started once a session: of processes, or of `--kafka-backend docker`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kafkaos.backends.process import ProcessCluster
from kafkaos.backends.processes import Supervisor
from kafkaos.backends.start import Setup, start_own
from kafkaos.pytest_plugin.session import Session
from kafkaos.spec import load_spec

StartCluster = Callable[[str], ProcessCluster]


@pytest.fixture(scope="package")
def supervisor() -> Iterator[Supervisor]:
    supervisor = Supervisor()
    yield supervisor
    supervisor.close()


@pytest.fixture(scope="package")
def started(
    supervisor: Supervisor, tmp_path_factory: pytest.TempPathFactory, kafkaos_session: Session
) -> Iterator[StartCluster]:
    """A cluster by name, the same for all tests of this folder, and not idling beside those of others."""
    setup = Setup(kafkaos_session.backend, java_home=kafkaos_session.java_home, image=kafkaos_session.image)
    clusters: dict[str, ProcessCluster] = {}

    def start(name: str) -> ProcessCluster:
        if name not in clusters:
            folder = tmp_path_factory.mktemp(Path(name).stem)
            clusters[name] = start_own(load_spec(name), setup=setup, supervisor=supervisor, log_folder=folder)
        return clusters[name]

    yield start
    for cluster in clusters.values():
        cluster.close()
