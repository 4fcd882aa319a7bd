"""Guarantees as values: names, JSON, and judging that never turns a crash into a pass."""

from __future__ import annotations

import dataclasses
import json
from typing import ClassVar

import polars as pl
import pytest

from kafkaos.checks import (
    GUARANTEES,
    Available,
    NoAcknowledgedLoss,
    Recovered,
    Status,
    Verdict,
    from_json,
    judge_all,
    no_acknowledged_loss,
    recovered,
    to_json,
)
from kafkaos.checks.healthy import healthy
from kafkaos.checks.mutations import plant
from kafkaos.errors import WrongUse
from kafkaos.history import Recording


@pytest.mark.parametrize(
    "guarantee",
    [
        *(kind() for kind in GUARANTEES.values()),
        recovered(within="90s", since="heal"),
        NoAcknowledgedLoss(compacted=("orders",)),
    ],
    ids=str,
)
def test_a_guarantee_survives_json(guarantee: object) -> None:
    """A plan with guarantees is plain JSON."""
    assert from_json(json.loads(json.dumps(to_json(guarantee)))) == guarantee  # type: ignore[arg-type]


def test_a_bare_name_is_the_guarantee_with_its_defaults() -> None:
    """A person may name a guarantee on the command line."""
    assert from_json("no_acknowledged_loss") == no_acknowledged_loss


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("no_duplicate", "did you mean `no_duplicates`?"),
        ({"guarantee": "recovered", "within": 3}, "did you mean `within_s`?"),
        ({"guarantee": "recovered", "within_s": "soon"}, "within_s = 'soon'"),
        ({"guarantee": "recovered", "since": "now"}, "since = 'now'"),
        ({}, "there is no guarantee"),
        ("zzz", "there are: at_least_once, atomic_transactions, available"),
    ],
)
def test_wrong_json_names_the_near_match(given: dict[str, object] | str, said: str) -> None:
    """An unknown name, key or value is wrong use, told with the next step."""
    with pytest.raises(WrongUse, match=said):
        from_json(given)


@pytest.mark.parametrize(
    ("given", "seconds"), [("15s", 15.0), ("500ms", 0.5), ("2min", 120.0), (3, 3.0), ("1.5 s", 1.5)]
)
def test_durations_are_read(given: str | float, seconds: float) -> None:
    """A duration is a number with a unit; a bare number is seconds."""
    assert recovered(within=given) == Recovered(within_s=seconds)


def test_a_wrong_duration_is_wrong_use() -> None:
    """A duration without a known unit is told."""
    with pytest.raises(WrongUse, match="15s"):
        recovered(within="15 parsecs")


@dataclasses.dataclass(frozen=True)
class Crashing:
    """A check with a bug."""

    name: ClassVar[str] = "crashing"
    title: ClassVar[str] = "Nothing"
    mutations: ClassVar[tuple[str, ...]] = ()

    def judge(self, recording: Recording) -> Verdict:
        raise ZeroDivisionError(f"by nothing in {recording.rows.height} rows")


def test_a_check_that_crashes_is_unknown_and_the_others_are_judged() -> None:
    """An exception is never a pass, and its text is in the sentence."""
    crashed, judged = judge_all(healthy(), [Crashing(), Available()])
    assert crashed.status is Status.UNKNOWN
    assert "ZeroDivisionError: by nothing" in crashed.sentence
    assert judged.status is Status.PASS


def test_a_broken_table_is_unknown_for_every_check() -> None:
    """A recording that lacks a column judges nothing."""
    recording = Recording(rows=pl.DataFrame({"client": ["a"]}))
    verdicts = judge_all(recording, [kind() for kind in GUARANTEES.values()])
    assert {verdict.status for verdict in verdicts} == {Status.UNKNOWN}


def test_a_verdict_survives_json() -> None:
    """A verdict with witnesses is stored beside the recording and read again."""
    verdict = no_acknowledged_loss.judge(plant("drop_final", healthy()).recording)
    assert verdict.witnesses[0].fault == "fault 0"
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict


def test_at_most_ten_witnesses_are_kept_and_all_are_counted() -> None:
    """A run that lost everything tells a few records and the number."""
    recording = healthy()
    rows = recording.rows.filter(pl.col("op") != "final")
    verdict = no_acknowledged_loss.judge(recording.with_rows(rows))
    assert len(verdict.witnesses) == 10
    assert verdict.counts["lost"] > 1_000


def test_of_an_incomplete_recording_only_a_breach_counts() -> None:
    """A recording in doubt never passes, and still fails where it shows a breach."""
    whole = healthy()
    doubtful = dataclasses.replace(whole, doubt="rows are missing")
    (verdict,) = judge_all(doubtful, [no_acknowledged_loss])
    assert verdict.status is Status.UNKNOWN
    assert "rows are missing" in verdict.sentence
    final = (pl.col("op") == "final").cum_sum() == 1
    broken = doubtful.with_rows(whole.rows.filter(~(final & (pl.col("op") == "final"))))
    assert judge_all(broken, [no_acknowledged_loss])[0].status is Status.FAIL
