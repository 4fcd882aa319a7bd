"""The shipped scenarios as the command line knows them, held against what pytest would collect."""

from __future__ import annotations

import pytest

from kafkaos.commands.scenarios import MAIN_JOB, choose, scenarios
from kafkaos.errors import WrongUse
from kafkaos.shipped import shipped


def test_every_scenario_has_a_title_and_a_unique_name() -> None:
    """A scenario is told in a sentence and can be named alone."""
    found = scenarios()
    assert len({s.name for s in found}) == len(found)
    assert all(s.title.endswith(".") for s in found)


def test_the_main_job_is_there() -> None:
    """`kafkaos run` without a name has something to run, over mutual TLS."""
    (job,) = [s for s in scenarios() if MAIN_JOB in s.names]
    assert job.clusters == ("three-mtls",)


@pytest.mark.parametrize("kind", ["folder", "file", "test", "row"])
def test_a_scenario_is_found_by_each_of_its_names(kind: str) -> None:
    """Folder, file, test and row of the catalogue all lead to the test."""
    one = next(s for s in scenarios() if s.rows and str(s.file.parent) == "kafka")
    names = {
        "folder": "kafka",
        "file": str(one.file),
        "test": one.name,
        "row": one.rows[0],
    }
    assert f"{shipped('scenarios') / one.file}::test_{one.name}" in choose([names[kind]])


def test_a_scenario_asked_for_twice_runs_once() -> None:
    """Overlapping names do not double a test."""
    assert choose(["kafka", "kafka"]) == choose(["kafka"])


def test_an_unknown_scenario_is_wrong_use() -> None:
    """The near match is named."""
    with pytest.raises(WrongUse, match="did you mean `kafka`"):
        choose(["kafak"])
