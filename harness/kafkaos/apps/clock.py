"""When a line was printed, on the clock of the recording."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final, Self

_NS_PER_MS: Final = 1_000_000
_GRAIN_NS: Final = _NS_PER_MS  # Java's lines tell whole milliseconds


@dataclass(frozen=True)
class Clock:
    """Ties the wall clock of the lines to CLOCK_MONOTONIC, as both stood when the application was started.

    The lines are cut to milliseconds, so an interval is widened to what is certain: no send seems to have begun after
    it did, no answer to have come before it did. A wall clock that is set during the run shifts the rows.
    """

    started_ns: int
    wall_ahead_ns: int

    @classmethod
    def now(cls) -> Self:
        monotonic_ns = time.monotonic_ns()
        return cls(started_ns=monotonic_ns, wall_ahead_ns=time.time_ns() - monotonic_ns)

    def begun_ns(self, timestamp_ms: float) -> int:
        """Not later than what the line tells, not before the start."""
        return max(int(timestamp_ms * _NS_PER_MS) - self.wall_ahead_ns, self.started_ns)

    def done_ns(self, timestamp_ms: float) -> int:
        """Not before what the line tells, not later than now."""
        return min(self.begun_ns(timestamp_ms) + _GRAIN_NS, time.monotonic_ns())
