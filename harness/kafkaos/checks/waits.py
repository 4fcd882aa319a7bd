"""The longest times in which something was waited for and nothing came. Pure functions of arrays of ns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Waits:
    """Non-overlapping waits in order; both arrays in ns and equally long."""

    starts: Times
    ends: Times

    def longest_ns(self, *, since_ns: int | None = None, until_ns: int | None = None) -> int:
        """The longest wait, or part of a wait, within a window (open where None)."""
        low = self.starts if since_ns is None else np.maximum(self.starts, since_ns)
        high = self.ends if until_ns is None else np.minimum(self.ends, until_ns)
        return max(int((high - low).max(initial=0)), 0)


def waits(*, begun: Times, done: Times, came: Times, end_ns: int) -> Waits:
    """Times between two arrivals (`came`), counted only from when something was outstanding.

    `begun` and `done` say when each awaited thing was begun and when it was over, however it ended; the last
    wait ends at `end_ns`. While nothing is outstanding nobody waits, however long it takes.
    """
    if not len(begun):
        return Waits(np.empty(0, np.int64), np.empty(0, np.int64))
    begun, done, came = np.sort(begun), np.sort(done), np.sort(came)
    starts = np.concatenate([begun[:1], came])
    ends = np.concatenate([came, [end_ns]])
    following = np.searchsorted(begun, starts, "right")
    open_at_start = following > np.searchsorted(done, starts, "right")
    next_begun = np.append(begun, np.iinfo(np.int64).max)[following]
    starts = np.where(open_at_start, starts, next_begun)
    real = ends > starts
    return Waits(starts[real], ends[real])
