"""The guarantees by name, as JSON and back, and the judging of several at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

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
from kafkaos.checks.guarantee import Guarantee, unknown
from kafkaos.checks.key_order import KeyOrder
from kafkaos.checks.large import crashed, look_at_parts
from kafkaos.checks.matches_model import MatchesModel
from kafkaos.checks.offsets_agree import OffsetsAgree
from kafkaos.checks.one_owner import OneOwner
from kafkaos.checks.phantom import NoPhantom
from kafkaos.checks.producer_order import ProducerOrder
from kafkaos.checks.reader_order import ReaderOrder
from kafkaos.checks.real_time_order import RealTimeOrder
from kafkaos.checks.recovery import Recovered
from kafkaos.checks.replicas_agree import ReplicasAgree
from kafkaos.checks.verdict import Status, Verdict
from kafkaos.errors import WrongUse
from kafkaos.history import Recording
from kafkaos.history.recording import open_parts
from kafkaos.shipped import near

GUARANTEES: dict[str, type[Guarantee]] = {
    guarantee.name: guarantee
    for guarantee in (
        NoAcknowledgedLoss,
        OffsetsAgree,
        NoDuplicates,
        NoPhantom,
        NoAbortedRead,
        AtomicTransactions,
        NoDirtyCycle,
        ProducerOrder,
        RealTimeOrder,
        KeyOrder,
        ReaderOrder,
        CommitsFollowWork,
        AtLeastOnce,
        OneOwner,
        Fencing,
        ReplicasAgree,
        BoundedRereading,
        Available,
        Recovered,
        ExactlyOnce,
        MatchesModel,
    )
}
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "": 1.0}


def duration_s(given: str | float) -> float:
    """Seconds from `15`, `"15s"`, `"500ms"` or `"2min"`; raises WrongUse for anything else."""
    if isinstance(given, int | float):
        return float(given)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|)\s*", given)
    if match is None:
        raise WrongUse(f"{given!r} is no duration: write it as 15s, 500ms or 2min")
    return float(match[1]) * _SECONDS[match[2]]


def to_json(guarantee: Guarantee) -> dict[str, Any]:
    """The guarantee's name and parameters as plain JSON values."""
    return {"guarantee": guarantee.name, **asdict(guarantee)}  # type: ignore[call-overload]


def from_json(given: dict[str, Any] | str) -> Guarantee:
    """The guarantee of `to_json`, or of a bare name. Raises WrongUse, naming the near match."""
    named = {"guarantee": given} if isinstance(given, str) else dict(given)
    name = named.pop("guarantee", None)
    if not isinstance(name, str) or name not in GUARANTEES:
        raise WrongUse(f"there is no guarantee {name!r}{near(str(name), sorted(GUARANTEES))}")
    kind = GUARANTEES[name]
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for key in named:
        if key not in known:
            raise WrongUse(f"the guarantee {name} has no parameter {key!r}{near(key, sorted(known))}")
    try:
        return TypeAdapter(kind).validate_python(named)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise WrongUse(
            f"the guarantee {name} cannot have {where} = {first['input']!r}: {first['msg']}"
        ) from None


def judge_all(recording: Recording, guarantees: Sequence[Guarantee]) -> list[Verdict]:
    """Judge each; a check that crashes is unknown with its exception in the sentence, never a pass.

    Of an incomplete recording only a breach counts.
    """
    verdicts = []
    for guarantee in guarantees:
        try:
            verdicts.append(_doubted(recording, guarantee, guarantee.judge(recording)))
        except Exception as error:
            verdicts.append(crashed(guarantee, error))
    return verdicts


def judge_file(path: Path, guarantees: Sequence[Guarantee]) -> tuple[Recording, list[Verdict]]:
    """Judge a large recording part by part (`is_large`); the recording has no rows, but `totals` derived."""
    with open_parts(path) as (whole, parts):
        found = look_at_parts(parts, whole, guarantees)
        return whole, [_doubted(whole, one, found[repr(one)]) for one in guarantees]


def _doubted(recording: Recording, guarantee: Guarantee, verdict: Verdict) -> Verdict:
    if recording.doubt and verdict.status is Status.PASS:
        return unknown(guarantee, f"Nothing broke in what is left, but {recording.doubt}.")
    return verdict
