"""What a check says: held, broke or unknown, how much was looked at, and the few records that show it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

WITNESSES_MAX = 10

Count = int | float


class Status(StrEnum):
    """`unknown` is for too little observed and for a check that crashed: never a pass."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Witness:
    """One record, or moment, that shows the breach. Times are seconds since the run's first row."""

    sentence: str
    value: int | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    client: str | None = None
    sent_s: float | None = None
    acknowledged_s: float | None = None
    seen_s: float | None = None
    fault: str | None = None  # the nearest fault
    since_fault_s: float | None = None  # from that fault's start to the breach, negative before it

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> Witness:
        return cls(**given)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`guarantee` is the registry's name; at most WITNESSES_MAX witnesses are kept, `counts` tells of all."""

    guarantee: str
    status: Status
    sentence: str
    counts: dict[str, Count] = field(default_factory=dict)
    witnesses: list[Witness] = field(default_factory=list)
    applicable: bool = True
    """False where the recording has no rows of the kind that the guarantee is about; the status is unknown."""

    def to_json(self) -> dict[str, Any]:
        return {
            "guarantee": self.guarantee,
            "status": self.status.value,
            "applicable": self.applicable,
            "sentence": self.sentence,
            "counts": dict(self.counts),
            "witnesses": [witness.to_json() for witness in self.witnesses],
        }

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> Verdict:
        witnesses = [Witness.from_json(witness) for witness in given["witnesses"]]
        return cls(**{**given, "status": Status(given["status"]), "witnesses": witnesses})


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """`1 record`, `12,345 records`."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"
