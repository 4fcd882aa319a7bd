"""Live controls: weak settings that must turn their checks red, beside safe twins that must stay green."""

from kafkaos.controls.control import Control, ControlResult
from kafkaos.controls.downtime import LEADER_DOWN
from kafkaos.controls.loss import ACKS_1, POWER_LOSS, UNCLEAN_ELECTION
from kafkaos.controls.reads import FOREIGN_WRITER, FORGOTTEN_OFFSETS
from kafkaos.controls.sends import LOST_ANSWERS, PASSING_ERROR

CONTROLS: dict[str, Control] = {
    control.name: control
    for control in (
        ACKS_1,
        UNCLEAN_ELECTION,
        POWER_LOSS,
        LOST_ANSWERS,
        PASSING_ERROR,
        FORGOTTEN_OFFSETS,
        FOREIGN_WRITER,
        LEADER_DOWN,
    )
}

__all__ = ["CONTROLS", "Control", "ControlResult"]
