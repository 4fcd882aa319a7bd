"""History in, verdict out: one guarantee a file. Ready values for scenarios, and the registry by name."""

from __future__ import annotations

from typing import Literal

from kafkaos.checks.acknowledged_loss import NoAcknowledgedLoss
from kafkaos.checks.availability import Available
from kafkaos.checks.duplicates import NoDuplicates
from kafkaos.checks.exactly_once import ExactlyOnce
from kafkaos.checks.guarantee import Guarantee
from kafkaos.checks.matches_model import MatchesModel
from kafkaos.checks.offsets_agree import OffsetsAgree
from kafkaos.checks.phantom import NoPhantom
from kafkaos.checks.producer_order import ProducerOrder
from kafkaos.checks.reader_order import ReaderOrder
from kafkaos.checks.recovery import Recovered
from kafkaos.checks.registry import GUARANTEES, duration_s, from_json, judge_all, to_json
from kafkaos.checks.verdict import Status, Verdict, Witness

no_acknowledged_loss = NoAcknowledgedLoss()
offsets_agree = OffsetsAgree()
no_duplicates = NoDuplicates()
no_phantom = NoPhantom()
producer_order = ProducerOrder()
reader_order = ReaderOrder()
available = Available()


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
    "Available",
    "ExactlyOnce",
    "Guarantee",
    "MatchesModel",
    "NoAcknowledgedLoss",
    "NoDuplicates",
    "NoPhantom",
    "OffsetsAgree",
    "ProducerOrder",
    "ReaderOrder",
    "Recovered",
    "Status",
    "Verdict",
    "Witness",
    "available",
    "exactly_once",
    "from_json",
    "judge_all",
    "matches_model",
    "no_acknowledged_loss",
    "no_duplicates",
    "no_phantom",
    "offsets_agree",
    "producer_order",
    "reader_order",
    "recovered",
    "to_json",
]
