"""What cannot be hit is told before anything is noted or done."""

from __future__ import annotations

from typing import Any

import pytest

from kafkaos.errors import WrongUse
from kafkaos.faults import (
    ClockJump,
    ClockSkew,
    ExceedPollInterval,
    Fault,
    FenceStaticMember,
    KillBeforeCommit,
    KillClient,
    KillWithFullBuffers,
    MissingClientCertificate,
    PauseClient,
    RebalanceStorm,
    SlowConsumer,
    World,
    ZombieProducer,
    pending,
    roles,
)


@pytest.mark.parametrize(
    "fault",
    [
        KillClient("readr"),
        PauseClient("readr"),
        KillBeforeCommit("readr"),
        KillWithFullBuffers("readr"),
        ExceedPollInterval("readr"),
        SlowConsumer("readr"),
        RebalanceStorm("readr"),
        FenceStaticMember("readr", "twin"),
        ZombieProducer("readr", "payer"),
        MissingClientCertificate("readr"),
    ],
    ids=lambda fault: fault.name,
)
def test_a_wrong_name_of_a_client_is_told_with_the_near_match(fault: Fault, world: World) -> None:
    """Whatever kind of client a fault needs, a misspelt name is told as such, and nothing is in the journal."""
    anybody: Any = object()
    world.clients = {"reader": anybody}
    with pytest.raises(WrongUse, match="did you mean `reader`"):
        fault.inject(world)
    assert pending(world.journal.path) == []


@pytest.mark.parametrize("fault", [ClockJump(roles.controller()), ClockSkew(roles.controller())], ids=str)
def test_the_clock_of_a_controller_is_wrong_use(fault: Fault, world: World) -> None:
    """No client sees it: that is told before anything is noted to be undone."""
    with pytest.raises(WrongUse, match="choose a broker"):
        fault.inject(world)
    assert pending(world.journal.path) == []
