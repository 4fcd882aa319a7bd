"""Children of the tests, under a real warden."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kafkaos.backends.processes import Supervisor
from kafkaos.traffic.child import Surroundings


@pytest.fixture(scope="session")
def supervisor() -> Iterator[Supervisor]:
    """One for all tests; whatever it started ends with it."""
    made = Supervisor()
    yield made
    made.close()


@pytest.fixture
def around(tmp_path: Path, supervisor: Supervisor) -> Surroundings:
    """The folder of a run, and who starts its processes."""
    return Surroundings(tmp_path / "run", supervisor, run="unit")
