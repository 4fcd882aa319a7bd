"""Every fault by its name, and faults as JSON (`{"fault": "kill", "target": {"role": "leader", …}}`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

from kafkaos.errors import WrongUse
from kafkaos.faults import roles
from kafkaos.faults.at_the_worst import KillBeforeCommit, KillWithFullBuffers
from kafkaos.faults.base import Fault
from kafkaos.faults.certificates import (
    ExpiredCertificate,
    RevokedTrust,
    RotateCertificates,
    UnknownCa,
    WrongHost,
)
from kafkaos.faults.clients import KillClient, PauseClient
from kafkaos.faults.clock import ClockJump, ClockSkew
from kafkaos.faults.crash_loop import CrashLoop
from kafkaos.faults.cut import Cut
from kafkaos.faults.cut_clients import CutClients
from kafkaos.faults.damage import FlipBit, TruncateTail
from kafkaos.faults.delay import Delay
from kafkaos.faults.disk import DiskFull, FailLogDir
from kafkaos.faults.elections import PreferredElection, UncleanElection
from kafkaos.faults.half_open import HalfOpen
from kafkaos.faults.isolate import Isolate
from kafkaos.faults.kill import Kill
from kafkaos.faults.kill_all import KillAll
from kafkaos.faults.limits import Quota, RecordTooLarge
from kafkaos.faults.members import ExceedPollInterval, FenceStaticMember, RebalanceStorm, SlowConsumer
from kafkaos.faults.missing_certificate import MissingClientCertificate
from kafkaos.faults.pause import Pause
from kafkaos.faults.pressure import MemoryPressure, TooManyConnections
from kafkaos.faults.rate import Rate
from kafkaos.faults.reassign import Reassign
from kafkaos.faults.reset import Reset
from kafkaos.faults.restart import Restart
from kafkaos.faults.ring import Ring
from kafkaos.faults.rolling_restart import RollingRestart
from kafkaos.faults.shrink_isr import ShrinkIsr
from kafkaos.faults.slow_disk import SlowDisk
from kafkaos.faults.stop import Stop
from kafkaos.faults.upgrade import MixedVersions, RollingUpgrade
from kafkaos.faults.values import build, lookup
from kafkaos.faults.violate_min_isr import ViolateMinIsr
from kafkaos.faults.zombie import ZombieProducer

ROLE_KEYS = frozenset({"target", "peer"})
"""The fields of faults that are roles."""

registry: dict[str, type[Fault]] = {
    kind.name: kind
    for kind in (
        *(Kill, Stop, Pause, Restart, RollingRestart, KillAll, CrashLoop),
        *(PreferredElection, UncleanElection, Reassign),
        *(ViolateMinIsr, ShrinkIsr),
        *(DiskFull, FailLogDir, TruncateTail, FlipBit),
        *(ClockJump, ClockSkew),
        *(ExpiredCertificate, UnknownCa, WrongHost, RevokedTrust, RotateCertificates),
        *(
            KillBeforeCommit,
            KillWithFullBuffers,
            ExceedPollInterval,
            SlowConsumer,
            RebalanceStorm,
            FenceStaticMember,
            ZombieProducer,
        ),
        *(Quota, RecordTooLarge, TooManyConnections, MemoryPressure, RollingUpgrade, MixedVersions),
        *(SlowDisk, MissingClientCertificate),
        *(KillClient, PauseClient),
        *(Cut, Isolate, Ring, CutClients, Delay, Rate, Reset, HalfOpen),
    )
}


def to_json(fault: Fault) -> dict[str, Any]:
    """The fault's name and its fields."""
    values = {f.name: getattr(fault, f.name) for f in fields(fault)}  # type: ignore[arg-type]
    for key in ROLE_KEYS & values.keys():
        values[key] = None if values[key] is None else roles.to_json(values[key])
    return {"fault": fault.name, **values}


def from_json(given: Mapping[str, Any]) -> Fault:
    """The fault again; WrongUse for an unknown fault, role or key, with the near match."""
    kind = lookup(registry, given.get("fault"), what="fault")
    values = {key: value for key, value in given.items() if key != "fault"}
    for key in sorted(ROLE_KEYS & values.keys()):
        if key == "peer" and values[key] is None:
            continue
        if not isinstance(values[key], Mapping):
            raise WrongUse(f'the {key} of fault {kind.name} must be an object, e.g. {{"role": "controller"}}')
        values[key] = roles.from_json(values[key])
    return cast(Fault, build(cast(type[Any], kind), values, what=f"fault {kind.name}"))
