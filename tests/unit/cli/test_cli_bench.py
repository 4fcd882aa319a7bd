"""Every bench says what it measures, tells its figures, and an unknown one is told with the near match."""

from __future__ import annotations

import pytest

from kafkaos.bench import BENCHES, load_bench
from kafkaos.cli import execute
from kafkaos.errors import EXIT_WRONG_USE


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_has_what_the_command_asks_of_it(name: str) -> None:
    """A module without one of the four would fail only after minutes of measuring."""
    found = load_bench(name)
    assert found.ABOUT
    assert found.NOTES
    assert callable(found.measure)
    assert callable(found.table)


def test_an_unknown_bench_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The near match is in the sentence."""
    assert execute(["bench", "trafic"]) == EXIT_WRONG_USE
    assert "did you mean `traffic`" in " ".join(capsys.readouterr().err.split())
