"""How many records are due now: a pure function of the time, so that it can be tested without waiting."""

from __future__ import annotations

CATCH_UP_S = 0.1  # a stall is made up for at most this much, or a resumed client would fire one huge burst
TICK_S = 0.002


class Pace:
    """Spreads `rate` records per second evenly; no rate means as many as are allowed."""

    def __init__(self, rate: float | None, *, now_s: float) -> None:
        self._rate = rate
        self._owed = 0.0
        self._then_s = now_s

    def due(self, now_s: float, *, at_most: int) -> int:
        """Records to send now, none within two milliseconds of the last ones; they count as sent."""
        if self._rate is None:
            return at_most
        passed_s = now_s - self._then_s
        if passed_s < TICK_S:
            return 0
        self._then_s = now_s
        self._owed = min(self._owed + passed_s * self._rate, 1.0 + self._rate * CATCH_UP_S)
        count = min(int(self._owed), at_most)
        self._owed -= count
        return count

    def skip(self, now_s: float) -> None:
        """Owe nothing for the time until now (it was a pause)."""
        self._then_s = now_s
        self._owed = 0.0

    def wait_s(self) -> float:
        """How long the client may wait for answers before it should ask again what is due."""
        if self._rate is None:
            return 0.005
        return min(max((1.0 - self._owed) / self._rate, TICK_S), 0.02)
