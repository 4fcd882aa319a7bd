"""Verdicts as a scenario meets them: what it raises for those that did not hold, and what guarantees look at."""

from __future__ import annotations

from collections.abc import Sequence

from kafkaos.checks import ExactlyOnce, Guarantee, MatchesModel, Status, Verdict
from kafkaos.errors import KafkaosError


class GuaranteeBroken(AssertionError):
    """A guarantee broke; the message has the witnesses."""


class VerdictUnknown(KafkaosError):
    """Too little was seen, or a fault left no evidence: neither held nor broke."""


def insist(verdicts: Sequence[Verdict], *, without_evidence: Sequence[str]) -> None:
    """Raise GuaranteeBroken with the witnesses, or VerdictUnknown, unless all held and all faults were proven."""
    broken = [verdict for verdict in verdicts if verdict.status is Status.FAIL]
    if broken:
        raise GuaranteeBroken("\n".join(map(tell, broken)))
    if without_evidence:
        raise VerdictUnknown(f"there is no evidence that these faults bit: {'; '.join(without_evidence)}")
    doubtful = [verdict for verdict in verdicts if verdict.status is Status.UNKNOWN]
    if doubtful:
        raise VerdictUnknown("\n".join(map(tell, doubtful)))


def tell(verdict: Verdict) -> str:
    """A verdict in words, with its witnesses."""
    return "\n".join(
        [f"{verdict.guarantee}: {verdict.sentence}", *(f"  - {w.sentence}" for w in verdict.witnesses)]
    )


def bodies_of(guarantee: Guarantee, expected: Sequence[str]) -> Sequence[str]:
    """The topics whose whole records a guarantee compares: read once more at the end, when all is said.

    `expected` are those of which a reference model said what they hold.
    """
    if isinstance(guarantee, MatchesModel):
        return [guarantee.topic] if guarantee.topic else expected
    return guarantee.bodies_of if isinstance(guarantee, ExactlyOnce) else ()
