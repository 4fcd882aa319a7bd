"""The shipped scenarios as the command line knows them, held against what pytest would collect."""

from __future__ import annotations

import json

import pytest

from kafkaos.cli import execute
from kafkaos.commands.scenarios import MAIN_JOB, choose, scenarios
from kafkaos.errors import EXIT_HELD, WrongUse
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


def test_what_a_scenario_needs_of_a_cluster_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Clusters, how many brokers another one must have, and why there is no other: as the marker says it."""
    assert execute(["list", "scenarios", "--json"]) == EXIT_HELD
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    needs = {name: (row["clusters"], row["brokers"], row["only"]) for name, row in rows.items()}
    assert needs["below_min_insync_replicas_sends_are_refused_and_the_same_producer_goes_on_after"] == (
        ["three", "three-mtls"], 3, None
    )  # fmt: skip
    assert needs["two_registries_converge"] == (["single", "three-mtls"], 1, None)
    reason = "it is about a cluster with a ZooKeeper"
    assert (["zookeeper"], 1, reason) in needs.values()
    assert execute(["list", "scenarios"]) == EXIT_HELD
    table = capsys.readouterr().out
    assert all(word in table for word in ("any with 3", "no other:"))
