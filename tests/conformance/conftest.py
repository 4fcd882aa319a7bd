"""Live clusters for the conformance suites, one at a time: of processes, or of `--kafka-backend docker`."""

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


@pytest.fixture(scope="module")
def supervisor() -> Iterator[Supervisor]:
    supervisor = Supervisor()
    yield supervisor
    supervisor.close()


@pytest.fixture(scope="module")
def started(
    supervisor: Supervisor, tmp_path_factory: pytest.TempPathFactory, kafkaos_session: Session
) -> Iterator[StartCluster]:
    """A cluster by name, the same until another one is asked for: one of three that idles takes a sixth of a core.

    Not of the folder: pytest has packages only where there is an __init__.py, and seventeen JVMs would idle to the end.
    """
    setup = Setup(kafkaos_session.backend, java_home=kafkaos_session.java_home, image=kafkaos_session.image)
    running: dict[str, ProcessCluster] = {}

    def start(name: str) -> ProcessCluster:
        if name not in running:
            end()
            folder = tmp_path_factory.mktemp(Path(name).stem)
            running[name] = start_own(load_spec(name), setup=setup, supervisor=supervisor, log_folder=folder)
        return running[name]

    def end() -> None:
        while running:
            running.popitem()[1].close()

    yield start
    end()
