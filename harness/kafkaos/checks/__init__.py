"""History in, verdict out: one guarantee a file. Ready values for scenarios, and the registry by name."""

from __future__ import annotations

from typing import Literal

from kafkaos.checks.aborted_read import NoAbortedRead
from kafkaos.checks.acknowledged_loss import NoAcknowledgedLoss
from kafkaos.checks.at_least_once import AtLeastOnce
from kafkaos.checks.atomic import AtomicTransactions
from kafkaos.checks.availability import Available
from kafkaos.checks.bounded_rereading import BoundedRereading
from kafkaos.checks.commits_follow_work import CommitsFollowWork
from kafkaos.checks.dirty_cycle import NoDirtyCycle
from kafkaos.checks.duplicates import NoDuplicates
from kafkaos.checks.exactly_once import ExactlyOnce
from kafkaos.checks.fencing import Fencing
from kafkaos.checks.guarantee import Guarantee
from kafkaos.checks.key_order import KeyOrder
from kafkaos.checks.matches_model import MatchesModel
from kafkaos.checks.offsets_agree import OffsetsAgree
from kafkaos.checks.one_owner import OneOwner
from kafkaos.checks.phantom import NoPhantom
from kafkaos.checks.producer_order import ProducerOrder
from kafkaos.checks.reader_order import ReaderOrder
from kafkaos.checks.real_time_order import RealTimeOrder
from kafkaos.checks.recovery import Recovered
from kafkaos.checks.registry import GUARANTEES, duration_s, from_json, judge_all, judge_file, to_json
from kafkaos.checks.replicas_agree import ReplicasAgree
from kafkaos.checks.verdict import Status, Verdict, Witness

no_acknowledged_loss = NoAcknowledgedLoss()
offsets_agree = OffsetsAgree()
no_duplicates = NoDuplicates()
no_phantom = NoPhantom()
producer_order = ProducerOrder()
reader_order = ReaderOrder()
bounded_rereading = BoundedRereading()
available = Available()
no_aborted_read = NoAbortedRead()
atomic_transactions = AtomicTransactions()
no_dirty_cycle = NoDirtyCycle()
real_time_order = RealTimeOrder()
key_order = KeyOrder()
commits_follow_work = CommitsFollowWork()
at_least_once = AtLeastOnce()
one_owner = OneOwner()
fencing = Fencing()
replicas_agree = ReplicasAgree()


def recovered(*, within: str | float, since: Literal["inject", "heal"] = "inject") -> Recovered:
    """`recovered(within="15s")`; a bare number is seconds."""
    return Recovered(within_s=duration_s(within), since=since)


def matches_model(*, topic: str | None = None) -> MatchesModel:
    """`matches_model(topic="totals")`: what `chaos.expect` wrote for it; without a topic all that have a model."""
    return MatchesModel(topic=topic)


def exactly_once(*, source: str, sink: str, by: tuple[str, ...] = ()) -> ExactlyOnce:
    """`exactly_once(source="orders", sink="invoices", by=("order",))`: see ExactlyOnce."""
    return ExactlyOnce(source=source, sink=sink, by=by)


__all__ = [
    "GUARANTEES",
    "AtLeastOnce",
    "AtomicTransactions",
    "Available",
    "BoundedRereading",
    "CommitsFollowWork",
    "ExactlyOnce",
    "Fencing",
    "Guarantee",
    "KeyOrder",
    "MatchesModel",
    "NoAbortedRead",
    "NoAcknowledgedLoss",
    "NoDirtyCycle",
    "NoDuplicates",
    "NoPhantom",
    "OffsetsAgree",
    "OneOwner",
    "ProducerOrder",
    "ReaderOrder",
    "RealTimeOrder",
    "Recovered",
    "ReplicasAgree",
    "Status",
    "Verdict",
    "Witness",
    "at_least_once",
    "atomic_transactions",
    "available",
    "bounded_rereading",
    "commits_follow_work",
    "exactly_once",
    "fencing",
    "from_json",
    "judge_all",
    "judge_file",
    "key_order",
    "matches_model",
    "no_aborted_read",
    "no_acknowledged_loss",
    "no_dirty_cycle",
    "no_duplicates",
    "no_phantom",
    "offsets_agree",
    "one_owner",
    "producer_order",
    "reader_order",
    "real_time_order",
    "recovered",
    "replicas_agree",
    "to_json",
]
