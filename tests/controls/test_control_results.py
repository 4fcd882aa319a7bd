"""What a control's result says, and that no guarantee is without a control."""

import pytest

from kafkaos.checks import GUARANTEES, Status, Verdict
from kafkaos.controls import CONTROLS, ControlResult
from kafkaos.shipped import shipped

FAIL, PASS, UNKNOWN = Status.FAIL, Status.PASS, Status.UNKNOWN


def verdict(status: Status) -> Verdict:
    return Verdict(guarantee="no_duplicates", status=status, sentence="")


@pytest.mark.parametrize(
    ("weak", "twin", "holds"),
    [
        ([FAIL], [PASS], True),
        ([PASS], [PASS], False),
        ([UNKNOWN], [PASS], False),
        ([FAIL, PASS], [PASS, PASS], False),
        ([FAIL], [FAIL], False),
        ([FAIL], [UNKNOWN], False),
        ([], [], False),
    ],
)
def test_a_control_holds_only_if_weak_is_red_and_twin_is_green(weak, twin, holds):
    """Anything but red beside green, unknown included, is a control that did not hold."""
    result = ControlResult(
        control="any", weak=tuple(map(verdict, weak)), twin=tuple(map(verdict, twin)), sentence=""
    )
    assert result.holds is holds
    assert result.to_json()["holds"] is holds


# Held by mutations so far; a live control for each is to come, and its name then leaves this list.
AWAITED = {
    "at_least_once", "atomic_transactions", "commits_follow_work", "fencing", "key_order", "no_aborted_read",
    "no_dirty_cycle", "one_owner", "real_time_order", "replicas_agree",
}  # fmt: skip

# Their live control is a scenario, whose application runs at-least-once beside its exactly-once twin.
IN_SCENARIOS = {"exactly_once", "matches_model"}


def test_every_guarantee_has_a_live_control():
    """A check without a live control does not land, but for those that are still awaited."""
    covered = {guarantee.name for control in CONTROLS.values() for guarantee in control.guarantees}
    assert set(GUARANTEES) - covered <= AWAITED | IN_SCENARIOS
    assert not covered & AWAITED


@pytest.mark.parametrize("guarantee", sorted(IN_SCENARIOS))
def test_a_guarantee_whose_control_is_a_scenario_is_seen_red_there(guarantee):
    """The scenario names the guarantee, and demands that it breaks on the weak side."""
    told = (shipped("scenarios") / "purchases" / "test_purchases.py").read_text()
    control = told[told.index("def test_a_kill_between_output_and_commit") :].split("@pytest.mark")[0]
    assert "Status.FAIL" in control
    assert {"exactly_once": "ONCE", "matches_model": "matches_model("}[guarantee] in control
