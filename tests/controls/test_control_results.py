"""What a control's result says, and that no guarantee is without a control."""

import pytest

from kafkaos.checks import GUARANTEES, Status, Verdict
from kafkaos.controls import CONTROLS, ControlResult

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


def test_every_guarantee_has_a_live_control():
    """A check without a live control does not land."""
    covered = {guarantee.name for control in CONTROLS.values() for guarantee in control.guarantees}
    assert set(GUARANTEES) - covered == set()
