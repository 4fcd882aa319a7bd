"""Large recordings are judged part by part, and come out as if they had been judged whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafkaos.checks import GUARANTEES, Status, judge_all, judge_file
from kafkaos.checks.healthy import healthy
from kafkaos.checks.mutations import plant
from kafkaos.history import Recording, parts

ALL = [kind() for kind in GUARANTEES.values() if kind.name not in ("exactly_once", "matches_model")]
HEALTHY = healthy()
DECLARED = [(kind, mutation) for kind in ALL for mutation in kind.mutations]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even the made-up recordings are split, into a part for each partition or two."""
    monkeypatch.setattr(parts, "LARGE_ROWS", 10)
    monkeypatch.setattr(parts, "PART_ROWS", 2_000)


def write(recording: Recording, folder: Path) -> Path:
    path = folder / "large.parquet"
    recording.rows.write_parquet(path)
    return path


def test_a_healthy_recording_comes_out_the_same(tmp_path: Path) -> None:
    """Verdict, sentence and counts are those of the whole."""
    _, found = judge_file(write(HEALTHY, tmp_path), ALL)
    assert [one.to_json() for one in found] == [one.to_json() for one in judge_all(HEALTHY, ALL)]


@pytest.mark.parametrize(("kind", "mutation"), DECLARED, ids=lambda given: getattr(given, "name", given))
def test_a_planted_anomaly_is_found_in_parts_too(kind: object, mutation: str, tmp_path: Path) -> None:
    """What crosses partitions, hides in one, or sits in a row without a partition is counted all the same."""
    planted = plant(mutation, HEALTHY).recording
    _, (found,) = judge_file(write(planted, tmp_path), [kind])  # type: ignore[list-item]
    (whole,) = judge_all(planted, [kind])  # type: ignore[list-item]
    assert found.status is Status.FAIL
    assert (found.sentence, found.counts) == (whole.sentence, whole.counts)
