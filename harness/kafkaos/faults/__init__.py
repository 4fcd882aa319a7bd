"""Faults: values that say whether they are possible here, act, prove that they bit, and are undone."""

from kafkaos.faults import roles
from kafkaos.faults.at_the_worst import KillBeforeCommit, KillWithFullBuffers
from kafkaos.faults.base import EVIDENCE_DEADLINE_S, Evidence, Fault, Injection
from kafkaos.faults.catalog import from_json, registry, to_json
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
from kafkaos.faults.journal import JOURNAL_FILE, HealJournal, heal_leftovers, pending
from kafkaos.faults.kill import Kill
from kafkaos.faults.kill_all import KillAll
from kafkaos.faults.limits import Quota, RecordTooLarge
from kafkaos.faults.members import ExceedPollInterval, FenceStaticMember, RebalanceStorm, SlowConsumer
from kafkaos.faults.missing_certificate import MissingClientCertificate
from kafkaos.faults.pause import Pause
from kafkaos.faults.plan import AnyOf, Hold, Parallel, Plan, Repeat, Serial, Step, Trigger, plan_from_json
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
from kafkaos.faults.undo import heal_pending
from kafkaos.faults.upgrade import MixedVersions, RollingUpgrade
from kafkaos.faults.violate_min_isr import ViolateMinIsr
from kafkaos.faults.world import ClientProcess, World
from kafkaos.faults.zombie import ZombieProducer

__all__ = [
    "EVIDENCE_DEADLINE_S",
    "JOURNAL_FILE",
    "AnyOf",
    "ClientProcess",
    "ClockJump",
    "ClockSkew",
    "CrashLoop",
    "Cut",
    "CutClients",
    "Delay",
    "DiskFull",
    "Evidence",
    "ExceedPollInterval",
    "ExpiredCertificate",
    "FailLogDir",
    "Fault",
    "FenceStaticMember",
    "FlipBit",
    "HalfOpen",
    "HealJournal",
    "Hold",
    "Injection",
    "Isolate",
    "Kill",
    "KillAll",
    "KillBeforeCommit",
    "KillClient",
    "KillWithFullBuffers",
    "MemoryPressure",
    "MissingClientCertificate",
    "MixedVersions",
    "Parallel",
    "Pause",
    "PauseClient",
    "Plan",
    "PreferredElection",
    "Quota",
    "Rate",
    "Reassign",
    "RebalanceStorm",
    "RecordTooLarge",
    "Repeat",
    "Reset",
    "Restart",
    "RevokedTrust",
    "Ring",
    "RollingRestart",
    "RollingUpgrade",
    "RotateCertificates",
    "Serial",
    "ShrinkIsr",
    "SlowConsumer",
    "SlowDisk",
    "Step",
    "Stop",
    "TooManyConnections",
    "Trigger",
    "TruncateTail",
    "UncleanElection",
    "UnknownCa",
    "ViolateMinIsr",
    "World",
    "WrongHost",
    "ZombieProducer",
    "from_json",
    "heal_leftovers",
    "heal_pending",
    "pending",
    "plan_from_json",
    "registry",
    "roles",
    "to_json",
]
