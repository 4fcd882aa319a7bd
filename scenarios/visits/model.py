"""What the averages must be: a pure function of the visits in the order of their log."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

GRACE_MS = 60_000


@dataclass(frozen=True)
class Visit:
    """One visit at its event time, ms since the epoch."""

    url: str
    at_ms: int


def averages(
    visits: Iterable[Visit], length_s: int, *, grace_ms: int = GRACE_MS
) -> list[tuple[str, dict[str, Any]]]:
    """Key and value of each output for windows of one length.

    A visit at time t updates the window that ends at t and that of each later visit which still has t in it, ends
    included; each update is sent. A visit more than `grace_ms` older than the newest of its url counts nowhere. The
    average is visits a second: the count divided by the length.
    """
    length_ms = length_s * 1000
    counted: dict[str, list[int]] = defaultdict(list)
    newest: dict[str, int] = {}
    outputs = []
    for visit in visits:
        newest[visit.url] = max(newest.get(visit.url, 0), visit.at_ms)
        if visit.at_ms < newest[visit.url] - grace_ms:
            continue
        times = counted[visit.url]
        times.append(visit.at_ms)
        for end_ms in sorted({time for time in times if visit.at_ms <= time <= visit.at_ms + length_ms}):
            count = sum(end_ms - length_ms <= time <= end_ms for time in times)
            value = {"url": visit.url, "until_ms": end_ms, "visits": count, "average": count / length_s}
            outputs.append((visit.url, value))
    return outputs
