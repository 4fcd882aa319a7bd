"""The reference model of the visits, held to what an average over a window means."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from visits.model import Visit, averages

VISITS = st.lists(
    st.builds(Visit, url=st.sampled_from(["/a", "/b"]), at_ms=st.integers(0, 200_000)), max_size=40
)
LENGTHS = st.sampled_from([30, 60, 300])


@given(VISITS, LENGTHS)
def test_the_last_update_of_each_window_counts_all_visits_in_it(visits, length_s):
    """Whatever the order of arrival, what is said last of a moment is the count over its window."""
    last = {(url, value["until_ms"]): value for url, value in averages(visits, length_s, grace_ms=10**9)}
    assert set(last) == {(one.url, one.at_ms) for one in visits}
    for (url, end_ms), value in last.items():
        inside = [v for v in visits if v.url == url and end_ms - length_s * 1000 <= v.at_ms <= end_ms]
        assert value["visits"] == len(inside)
        assert value["average"] == len(inside) / length_s


@given(VISITS, LENGTHS)
def test_in_order_each_visit_is_one_update_of_its_own_moment(visits, length_s):
    """Visits in the order of their times correct nothing: one output each (one a moment where two share it)."""
    ordered = sorted(visits, key=lambda one: one.at_ms)
    outputs = averages(ordered, length_s)
    assert [(url, value["until_ms"]) for url, value in outputs] == [(one.url, one.at_ms) for one in ordered]


@given(VISITS, LENGTHS)
def test_urls_do_not_touch_each_other(visits, length_s):
    """The outputs of a url are those that its visits alone would give."""
    together = averages(visits, length_s)
    for name in ("/a", "/b"):
        alone = averages([one for one in visits if one.url == name], length_s)
        assert alone == [(url, value) for url, value in together if url == name]


@given(VISITS, LENGTHS, st.integers(0, 100_000))
def test_a_visit_older_than_the_grace_counts_nowhere(visits, length_s, grace_ms):
    """Leaving out the visits that came too late changes nothing."""
    newest: Counter[str] = Counter()
    in_time = []
    for one in visits:
        newest[one.url] = max(newest[one.url], one.at_ms)
        if one.at_ms >= newest[one.url] - grace_ms:
            in_time.append(one)
    assert averages(visits, length_s, grace_ms=grace_ms) == averages(in_time, length_s, grace_ms=grace_ms)
