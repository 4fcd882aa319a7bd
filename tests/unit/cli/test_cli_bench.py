"""Every bench says what it measures, tells its figures, and an unknown one is told with the near match."""

from __future__ import annotations

import pytest

from kafkaos.bench import BENCHES, links, load_bench
from kafkaos.cli import execute
from kafkaos.errors import EXIT_WRONG_USE


@pytest.mark.parametrize("name", BENCHES)
def test_a_bench_has_what_the_command_asks_of_it(name: str) -> None:
    """A module without one of the four would fail only after minutes of measuring."""
    found = load_bench(name)
    assert found.ABOUT
    assert found.NOTES
    assert callable(found.measure)
    assert callable(found.table)


def test_an_unknown_bench_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The near match is in the sentence."""
    assert execute(["bench", "trafic"]) == EXIT_WRONG_USE
    assert "did you mean `traffic`" in " ".join(capsys.readouterr().err.split())


def test_the_table_of_links_has_toxiproxy_where_it_was_measured() -> None:
    """Its rate stands in the column of what goes through, beside the same direct one."""
    relay = {"direct_mb_per_s": 2400, "links_mb_per_s": 1500, "added_round_trip_ms_median": 0.034}
    kafka = {
        "throughput_ratio": 0.9,
        "direct_mb_per_s": 34.0,
        "links_mb_per_s": 31.0,
        "added_latency_ms_median": 0.08,
    }
    latency = {"direct_latency_ms_median": 0.33, "links_latency_ms_median": 0.41}
    toxiproxy = {"mb_per_s": 750, "added_round_trip_ms_median": 0.093, "links_times_its_throughput": 2.0}
    without = links.table({**kafka, **latency, "relay": {**relay, "toxiproxy": None}})
    beside = links.table({**kafka, **latency, "relay": {**relay, "toxiproxy": toxiproxy}})
    assert beside.rows[: len(without.rows)] == without.rows
    assert beside.rows[len(without.rows)][1:] == ("2400 MB/s", "750 MB/s", "+ 0.093 ms")
