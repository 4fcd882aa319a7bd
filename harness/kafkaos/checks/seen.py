"""What a check saw of one part of a recording, so that parts can be looked at one after the other and added up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from kafkaos.checks.verdict import WITNESSES_MAX, Count, Verdict, Witness
from kafkaos.history import Recording


@dataclass(frozen=True, kw_only=True)
class Seen:
    """`counts` add up over parts, of `most` the highest counts; `told` has a few witnesses by kind, `arrays` are
    joined end to end. Parts share no record, so that nothing is counted twice.
    """

    counts: dict[str, int]
    most: dict[str, Count] = field(default_factory=dict)
    sums: dict[str, int] = field(default_factory=dict)
    """Further numbers that add up, by names that are not known before; no part of the verdict's counts."""
    told: dict[str, list[Witness]] = field(default_factory=dict)
    arrays: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    run: Recording | None = None
    """The run without rows, for those who need its beginning and its faults."""

    def all_counts(self) -> dict[str, Count]:
        """For the verdict; names that begin with an underscore are for the check itself."""
        return {name: count for name, count in {**self.counts, **self.most}.items() if name[0] != "_"}

    def witnesses(self, *kinds: str) -> list[Witness]:
        """The earliest few of each kind, in the order of the kinds."""
        return [one for kind in kinds for one in sorted(self.told.get(kind, []), key=_when)[:WITNESSES_MAX]]


def _when(witness: Witness) -> float:
    times = (witness.seen_s, witness.sent_s, witness.acknowledged_s)
    return next((time for time in times if time is not None), 0.0)


def add_up(parts: Iterable[Seen]) -> Seen:
    """All parts as one."""
    counts: dict[str, int] = {}
    most: dict[str, Count] = {}
    sums: dict[str, int] = {}
    told: dict[str, list[Witness]] = {}
    arrays: dict[str, list[npt.NDArray[np.int64]]] = {}
    run: Recording | None = None
    for part in parts:
        run = run or part.run
        for name, count in part.counts.items():
            counts[name] = counts.get(name, 0) + count
        for name, count in part.sums.items():
            sums[name] = sums.get(name, 0) + count
        for name, highest in part.most.items():
            most[name] = max(most.get(name, highest), highest)
        for kind, witnesses in part.told.items():
            told[kind] = sorted([*told.get(kind, []), *witnesses], key=_when)[:WITNESSES_MAX]
        for name, array in part.arrays.items():
            arrays.setdefault(name, []).append(array)
    joined = {name: np.concatenate(several) for name, several in arrays.items()}
    return Seen(counts=counts, most=most, sums=sums, told=told, arrays=joined, run=run)


class ByPartition:
    """A guarantee that can be judged partition by partition: it looks at each, adds up, and concludes."""

    topic_wide: ClassVar[bool] = False
    """Whether a record that is seen in two partitions of a topic needs both to be looked at together."""

    def look(self, recording: Recording) -> Seen:
        """What this part of the recording shows."""
        raise NotImplementedError

    def conclude(self, seen: Seen) -> Verdict:
        """The verdict on all that was seen."""
        raise NotImplementedError

    def judge(self, recording: Recording) -> Verdict:
        """Look at all at once."""
        return self.conclude(self.look(recording))
