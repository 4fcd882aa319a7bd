"""What a test came to, from its phases and its verdicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from kafkaos.checks import Status, Verdict
from kafkaos.errors import SetupFailed
from kafkaos.reporting.course import Course
from kafkaos.run import GuaranteeBroken, VerdictUnknown


@pytest.mark.parametrize(
    ("when", "error", "outcome"),
    [
        ("call", None, "passed"),
        ("call", GuaranteeBroken("no_phantom: 1 record"), "broke"),
        ("call", VerdictUnknown("nothing was sent"), "unknown"),
        ("call", AssertionError("1 == 2"), "failed"),
        ("call", SetupFailed("no Java"), "error"),
        ("setup", SetupFailed("no Java"), "error"),
        ("setup", AssertionError("a fixture's own"), "error"),
        ("teardown", RuntimeError("left over"), "error"),
    ],
)
def test_a_broken_guarantee_is_told_from_a_broken_harness(
    when: str, error: Exception | None, outcome: str, tmp_path: Path
) -> None:
    """Only a failed assertion of the test itself is the scenario's; whatever else fails says nothing of Kafka."""
    course = Course(test="t.py::test_a", title="", cluster="single", seed=1, reproduce="")
    for phase in ("setup", "call", "teardown"):
        course.phase(phase, duration_s=1.0, skipped=False, error=error if phase == when else None)
    result = course.result(tmp_path)
    assert (result.outcome, result.duration_s) == (outcome, 3.0)
    if outcome == "error":
        assert str(error) in result.sentence


def test_what_failed_first_counts(tmp_path: Path) -> None:
    """A tear-down that fails too does not turn a broken guarantee into a broken harness."""
    course = Course(test="t.py::test_a", title="", cluster="single", seed=1, reproduce="")
    course.phase("call", duration_s=1.0, skipped=False, error=GuaranteeBroken("lost"))
    course.phase("teardown", duration_s=1.0, skipped=False, error=RuntimeError("as well"))
    assert course.result(tmp_path).outcome == "broke"


def test_a_guarantee_that_a_passing_test_saw_break_was_expected_to(tmp_path: Path) -> None:
    """It is told and is no news; what is unknown stays so, and in a test that failed a broken one counts."""
    broken = Verdict(guarantee="no_acknowledged_loss", status=Status.FAIL, sentence="3 of 9 are lost.")
    course = Course(test="t.py::test_a", title="", cluster="single", seed=1, reproduce="", verdicts=[broken])
    result = course.result(tmp_path)
    assert result.outcome == "passed"
    assert result.sentence == "As the scenario expects, no_acknowledged_loss: 3 of 9 are lost."
    course.verdicts.append(
        Verdict(guarantee="no_phantom", status=Status.PASS, sentence="9 records, all sent.")
    )
    assert course.result(tmp_path).outcome == "held"
    course.without_evidence = True
    assert course.result(tmp_path).outcome == "unknown"
    course.phase("call", duration_s=1.0, skipped=False, error=GuaranteeBroken("lost"))
    assert course.result(tmp_path).outcome == "broke"
