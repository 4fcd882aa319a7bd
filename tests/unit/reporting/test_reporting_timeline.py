"""The timeline: its numbers, and that its picture is whole."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from kafkaos.history import Recording, load
from kafkaos.history.events import Event
from kafkaos.reporting.drawing import NARROW, WIDE, draw
from kafkaos.reporting.panels import LEADERLESS
from kafkaos.reporting.timeline import BUCKETS_MAX, timeline
from kafkaos.run import verdicts_of

LED = {"topic": "orders", "partition": 0, "leader": 1, "leader_epoch": 0, "replicas": [1, 2], "isr": [1]}


def test_rates_latencies_and_waits_are_those_of_the_recording(run_folder: Path) -> None:
    """100 sends a second answered after 5 ms, read after 20 ms, and an outage of 1.5 s."""
    told = timeline(load(run_folder), verdicts_of(run_folder))
    assert told.bucket_s == 0.1
    assert told.acknowledged[:3] == [100.0, 100.0, 100.0]
    assert told.acknowledged[5] == 0.0
    assert told.unacknowledged[5] == 100.0
    assert told.acknowledgement_p50_ms[0] == 5.0
    assert told.acknowledgement_p50_ms[5] is None
    assert told.delivery_p50_ms[1] == 20.0
    assert [(round(a, 2), round(b, 2)) for a, b in told.waits] == [(0.3, 1.8)]
    assert sum(n or 0 for n in told.acknowledged) * told.bucket_s == pytest.approx(50)


def test_faults_leaders_and_witnesses_have_their_moments(run_folder: Path) -> None:
    """The fault's window with its evidence, a leader's change with its ISR, the lost record."""
    told = timeline(load(run_folder), verdicts_of(run_folder))
    (fault,) = told.faults
    assert (fault.from_s, fault.to_s, fault.evidence) == (0.3, 1.9, "broker-1 ended by SIGKILL")
    (lane,) = told.lanes
    assert [(s.leader, s.isr, s.from_s) for s in lane.spans] == [(1, (1, 2, 3), 0.1), (2, (2, 3), 0.4)]
    assert told.marks == [(0.1, "orders-0 at offset 7 <script>alert(1)</script> is lost.")]


@pytest.mark.parametrize(
    ("partitions", "answered", "led_by"),
    [
        ([], [], "leader 1, which does not answer"),
        ([LED], [2], "leader 1, which does not answer"),
        ([LED | {"leader": None}], [2], "no leader"),
    ],
)
def test_a_leader_that_does_not_answer_is_not_told_as_leading(
    run_folder: Path, partitions: list[object], answered: list[int], led_by: str
) -> None:
    """A dead broker that nobody can tell a follower of, a dead one that the others still name, and none at all."""
    up = {"partitions": [LED], "answered": [1, 2]}
    states = {1100: up, 1300: {"partitions": partitions, "answered": answered}, 1500: up}
    events = [
        Event(
            number=n,
            kind="state",
            name="observed",
            monotonic_ns=at_ms * 1_000_000,
            wall_ns=0,
            details={"state": s},
        )
        for n, (at_ms, s) in enumerate(states.items())
    ]
    told = timeline(replace(load(run_folder), events=events))
    (lane,) = told.lanes
    assert [(s.from_s, s.to_s, s.led_by) for s in lane.spans] == [
        (0.1, 0.3, "leader 1"),
        (0.3, 0.5, led_by),
        (0.5, told.duration_s, "leader 1"),
    ]
    picture = draw(told)
    assert picture.count(f'fill="{LEADERLESS}"') == 2  # in the legend, and where nobody led
    assert f"0.3 s to 0.5 s: {led_by}" in picture


def test_a_long_run_is_drawn_with_a_bounded_number_of_buckets(run_folder: Path) -> None:
    """A day of traffic costs no more points than a minute, and no record is left out of the rates."""
    rows = load(run_folder).rows
    stretched = rows.with_columns(
        pl.col("invoked_ns") * 40_000,
        (pl.col("completed_ns") - pl.col("invoked_ns")) + pl.col("invoked_ns") * 40_000,
    )
    told = timeline(Recording(rows=stretched))
    assert told.duration_s > 70_000
    assert len(told.acknowledged) <= BUCKETS_MAX
    assert sum(n or 0 for n in told.acknowledged) * told.bucket_s == pytest.approx(50, rel=0.05)


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_picture_is_whole_xml_and_escapes_what_it_was_given(run_folder: Path, width: int) -> None:
    """Names and sentences of a recording cannot become markup; fault and lane tell themselves."""
    root = ET.fromstring(draw(timeline(load(run_folder), verdicts_of(run_folder)), width=width))
    titles = [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any("broker-1 ended by SIGKILL" in title for title in titles)
    assert any("leader 2, epoch 1, ISR [2, 3] of replicas [1, 2, 3]" in title for title in titles)
    assert any("<script>" in title for title in titles)
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))


def test_a_recording_without_traffic_is_drawn_too(run_folder: Path) -> None:
    """Nothing sent and nothing read is an empty picture, not an error."""
    rows = load(run_folder).rows.clear()
    ET.fromstring(draw(timeline(Recording(rows=rows))))
