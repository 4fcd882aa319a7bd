"""Children of the tests, under a real warden."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kafkaos.backends.processes import Process, Supervisor
from kafkaos.traffic.child import Surroundings

END_DEADLINE_S = 60


class OfOneTest:
    """Starts a test's children by the warden of all tests, and ends them with the test: they would go on sending."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._started: list[Process] = []

    def spawn(self, argv: Sequence[str], **given: Any) -> Process:
        process = self._supervisor.spawn(argv, **given)
        self._started.append(process)
        return process

    def end(self) -> None:
        for process in self._started:
            process.signal(signal.SIGKILL)
        for process in self._started:
            process.wait(END_DEADLINE_S)


@pytest.fixture(scope="session")
def supervisor() -> Iterator[Supervisor]:
    """One for all tests; whatever it started ends with it."""
    made = Supervisor()
    yield made
    made.close()


@pytest.fixture
def around(tmp_path: Path, supervisor: Supervisor) -> Iterator[Surroundings]:
    """The folder of a run, and who starts its processes."""
    spawner = OfOneTest(supervisor)
    yield Surroundings(tmp_path / "run", spawner, run="unit")
    spawner.end()
