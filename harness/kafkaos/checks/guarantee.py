"""What every guarantee is: a value with parameters that judges a recording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

from kafkaos.checks.verdict import WITNESSES_MAX, Count, Status, Verdict, Witness
from kafkaos.history import Recording


@runtime_checkable
class Guarantee(Protocol):
    """A frozen dataclass whose fields are its parameters (plain JSON values)."""

    name: ClassVar[str]
    title: ClassVar[str]
    mutations: ClassVar[tuple[str, ...]]  # the planted anomalies it must find, by their names in mutations.py

    def judge(self, recording: Recording) -> Verdict:
        """A pure function: pass, fail with witnesses, or unknown if too little was observed."""
        ...


def held(guarantee: Guarantee, sentence: str, counts: dict[str, Count]) -> Verdict:
    return Verdict(guarantee=guarantee.name, status=Status.PASS, sentence=sentence, counts=counts)


def broke(
    guarantee: Guarantee, sentence: str, counts: dict[str, Count], witnesses: Sequence[Witness]
) -> Verdict:
    return Verdict(
        guarantee=guarantee.name,
        status=Status.FAIL,
        sentence=sentence,
        counts=counts,
        witnesses=list(witnesses)[:WITNESSES_MAX],
    )


def unknown(
    guarantee: Guarantee,
    sentence: str,
    counts: dict[str, Count] | None = None,
    witnesses: Sequence[Witness] = (),
) -> Verdict:
    return Verdict(
        guarantee=guarantee.name,
        status=Status.UNKNOWN,
        sentence=sentence,
        counts=counts or {},
        witnesses=list(witnesses)[:WITNESSES_MAX],
    )


def not_applicable(guarantee: Guarantee, sentence: str, counts: dict[str, Count] | None = None) -> Verdict:
    """Unknown, because nothing of the kind was done: whoever asked for the guarantee by name learned nothing."""
    return Verdict(
        guarantee=guarantee.name,
        status=Status.UNKNOWN,
        sentence=sentence,
        counts=counts or {},
        applicable=False,
    )
