"""The pace is a function of the time alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kafkaos.traffic.pace import CATCH_UP_S, TICK_S, Pace


@given(
    rate=st.floats(0.5, 100_000),
    steps_s=st.lists(st.floats(0.0001, 0.05), min_size=1, max_size=200),
)
def test_never_ahead_of_the_rate_and_not_far_behind(rate: float, steps_s: list[float]) -> None:
    """At each moment about rate times time was due."""
    pace, now_s, sent = Pace(rate, now_s=0.0), 0.0, 0
    for step_s in steps_s:
        now_s += step_s
        sent += pace.due(now_s, at_most=1_000_000)
        assert sent <= rate * now_s + 1e-6
        assert sent >= rate * (now_s - TICK_S) - 1 - 1e-6


def test_a_stall_is_not_made_up_for_in_a_burst() -> None:
    """After ten seconds without a look no more than the catch-up time is due."""
    pace = Pace(1_000, now_s=0.0)
    assert pace.due(10.0, at_most=1_000_000) == 1_000 * CATCH_UP_S + 1


def test_a_slow_rate_loses_nothing_to_the_bound() -> None:
    """Five a second are five a second, however the looks fall."""
    pace = Pace(5.0, now_s=0.0)
    assert sum(pace.due(step * 0.0625, at_most=10) for step in range(1, 161)) == 50


def test_a_slow_rate_sends_after_a_stall() -> None:
    """The bound on catching up never swallows the one record that is due."""
    assert Pace(0.5, now_s=0.0).due(2.1, at_most=10) == 1


def test_a_pause_is_not_owed() -> None:
    """What was not sent while paused is not due afterwards."""
    pace = Pace(1_024, now_s=0.0)
    pace.skip(5.0)
    assert pace.due(5.0 + 1 / 64, at_most=1_000) == 16


def test_what_did_not_fit_stays_owed() -> None:
    """A full window delays records, it does not drop them."""
    pace = Pace(1_024, now_s=0.0)
    assert pace.due(1 / 64, at_most=5) == 5
    assert pace.due(2 / 64, at_most=100) == 11 + 16


def test_no_rate_means_all_that_is_allowed() -> None:
    """Without a rate only the caller's limit counts."""
    assert Pace(None, now_s=0.0).due(0.0, at_most=123) == 123
