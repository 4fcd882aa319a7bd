"""Live controls: weak settings that must turn their checks red, beside safe twins that must stay green."""

from kafkaos.controls.control import Control, ControlResult
from kafkaos.controls.downtime import LEADER_DOWN
from kafkaos.controls.groups import COMMIT_FIRST, RARE_COMMITS, SPREAD_KEY, STUBBORN_MEMBER
from kafkaos.controls.loss import ACKS_1, POWER_LOSS, UNCLEAN_ELECTION
from kafkaos.controls.reads import FOREIGN_WRITER, FORGOTTEN_OFFSETS
from kafkaos.controls.replicas import ROTTEN_DISK
from kafkaos.controls.sends import LOST_ANSWERS, PASSING_ERROR
from kafkaos.controls.streams import OFFSETS_OUTSIDE
from kafkaos.controls.transactions import (
    CROSSING_TRANSACTIONS,
    NO_TRANSACTIONAL_ID,
    OWN_ID_FOR_EACH,
    UNCOMMITTED_READER,
)

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
        UNCOMMITTED_READER,
        NO_TRANSACTIONAL_ID,
        CROSSING_TRANSACTIONS,
        OWN_ID_FOR_EACH,
        COMMIT_FIRST,
        RARE_COMMITS,
        STUBBORN_MEMBER,
        SPREAD_KEY,
        OFFSETS_OUTSIDE,
        ROTTEN_DISK,
    )
}

__all__ = ["CONTROLS", "Control", "ControlResult"]
