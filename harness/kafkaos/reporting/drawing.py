"""The timeline as one SVG: no script, no font, nothing loaded; it scales, and each part tells itself by its title."""

from __future__ import annotations

import math
from html import escape

from kafkaos.reporting.panels import (
    ACKED,
    FAILED,
    FAINT,
    LEADERLESS,
    NARROW,
    READ,
    RIGHT,
    WIDE,
    Panel,
    colour_of,
    lane_row,
    latencies,
    rates,
    text,
    width_px,
)
from kafkaos.reporting.timeline import Timeline

__all__ = ["NARROW", "WIDE", "draw"]

LANES_MAX = 16
# Left of the panels are tick labels and partitions' names; a longer name keeps its end, where its number is.
LEFT, LEFT_MAX = 58, 150
# A panel's title has a row of its own, else it would lie on the label of the panel's upper rule.
TITLE_HEIGHT = 20
GAP = 9
RATE_HEIGHT, LATENCY_HEIGHT, LANE_HEIGHT = 130, 96, 15
LABEL_HEIGHT = 15
FAULT, FAULT_INK = "#f59e0b", "#92400e"


def draw(timeline: Timeline, *, width: int = WIDE) -> str:
    """The picture; `width` in pixels (it scales, but text and line widths are made for that width)."""
    lanes = timeline.lanes[:LANES_MAX]
    longest = max((width_px(lane.name) for lane in lanes), default=0)
    left = min(max(LEFT, 10 + longest), LEFT_MAX) if width >= WIDE else LEFT

    def panel(top: float, height: float) -> Panel:
        return Panel(top, height, left, width, timeline.duration_s)

    legend, legend_height = _legend(timeline, width)
    rate = panel(legend_height + LABEL_HEIGHT * len(timeline.faults) + TITLE_HEIGHT, RATE_HEIGHT)
    latency = panel(rate.floor + GAP + TITLE_HEIGHT, LATENCY_HEIGHT)
    bottom = latency.floor + GAP
    parts: list[str] = []
    if lanes:
        first = bottom + TITLE_HEIGHT - 4
        rows = [panel(first + number * LANE_HEIGHT, LANE_HEIGHT - 4) for number in range(len(lanes))]
        bottom = rows[-1].floor + 6
        words = "partitions: leader by colour, height is the share of the replicas that are in sync"
        parts.append(rows[0].title(words if width >= WIDE else "leader by colour, ISR by height"))
        parts += [piece for lane, row in zip(lanes, rows, strict=True) for piece in lane_row(lane, row)]
    faults = _faults(timeline, rate, legend_height, bottom)
    above = [*_marks(timeline, rate, bottom), *_seconds(rate, bottom)]
    parts = [*legend, *faults, *rates(timeline, rate), *latencies(timeline, latency), *parts, *above]
    height = bottom + 30
    if len(timeline.lanes) > LANES_MAX:
        more = len(timeline.lanes) - LANES_MAX
        parts.append(text(left, height + 4, f"and {more} more partitions", FAINT))
        height += 14
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:g}" width="{width}" '
        f'height="{height:g}" class="timeline" data-left="{left:g}" data-right="{RIGHT}" data-top="{rate.top:g}" '
        f'data-bottom="{bottom:g}" role="img" aria-label="the run over time" '
        'font-family="system-ui, sans-serif" font-size="11">'
        f'<rect width="{width}" height="{height:g}" fill="#ffffff"/>{"".join(parts)}</svg>'
    )


def _legend(timeline: Timeline, width: int) -> tuple[list[str], float]:
    """The legend, and how high it is."""
    entries = [(ACKED, "acknowledged"), (READ, "delivered"), (FAILED, "not acknowledged, or waited for")]
    spans = [span for lane in timeline.lanes for span in lane.spans]
    leaders = sorted({span.leader for span in spans if span.leader is not None})
    entries += [(colour_of(leader), f"leader {leader}") for leader in leaders]
    if not all(span.is_led for span in spans):
        entries.append((LEADERLESS, "no leader answers"))
    if timeline.marks:
        entries.append((FAILED, "dashes: a witness of what broke"))
    parts, x, y = [], 4.0, 12.0
    for colour, words in entries:
        length = 18 + 6.2 * len(words)
        if x + length > width:
            x, y = 4.0, y + 15
        parts.append(f'<rect x="{x:g}" y="{y - 8:g}" width="9" height="9" rx="2" fill="{colour}"/>')
        parts.append(text(x + 13, y, words, FAINT))
        x += length + 8
    return parts, y + 6


def _faults(timeline: Timeline, panel: Panel, top: float, bottom: float) -> list[str]:
    parts = []
    for number, fault in enumerate(timeline.faults):
        begin, end = panel.x(fault.from_s), panel.x(timeline.duration_s if fault.to_s is None else fault.to_s)
        y = top + LABEL_HEIGHT * (number + 1)
        until = "never undone" if fault.to_s is None else f"undone at {fault.to_s:.1f} s"
        told = f"{fault.name}: from {fault.from_s:.1f} s, {until}. {fault.evidence or 'No evidence that it bit.'}"
        room = int((panel.width - 8) / 6)
        words = fault.name if len(fault.name) <= room else fault.name[: room - 1] + "…"
        # A label near the right edge is set to the left of its fault.
        fits = begin + 6.2 * len(words) < panel.width
        place = (
            text(begin, y - 3, words, FAULT_INK)
            if fits
            else text(max(end, 6.2 * len(words)), y - 3, words, FAULT_INK, "end")
        )
        parts.append(
            f'<g><title>{escape(told)}</title><rect x="{begin}" y="{y:g}" width="{max(end - begin, 2):g}" '
            f'height="{bottom - y:g}" fill="{FAULT}" fill-opacity="0.16"/>'
            f'<line x1="{begin}" x2="{begin}" y1="{y:g}" y2="{bottom:g}" stroke="{FAULT}"/>{place}</g>'
        )
    return parts


def _marks(timeline: Timeline, panel: Panel, bottom: float) -> list[str]:
    """Moments of witnesses, through all panels."""
    parts = []
    for at_s, sentence in timeline.marks:
        x = panel.x(at_s)
        parts.append(
            f'<g><title>{escape(sentence)}</title><line x1="{x}" x2="{x}" y1="{panel.top:g}" y2="{bottom:g}" '
            f'stroke="{FAILED}" stroke-dasharray="2 3"/>'
            f'<path d="M{x - 4:g} {panel.top - 7:g}h8l-4 7z" fill="{FAILED}"/></g>'
        )
    return parts


def _seconds(panel: Panel, bottom: float) -> list[str]:
    step = _nice(panel.duration_s / (12 if panel.width >= WIDE else 5))
    parts = []
    for number in range(int(panel.duration_s / step) + 1):
        x = panel.x(number * step)
        parts.append(f'<line x1="{x}" x2="{x}" y1="{bottom:g}" y2="{bottom + 4:g}" stroke="{FAINT}"/>')
        anchor = "end" if x > panel.width - 24 else "middle"
        parts.append(text(x, bottom + 16, f"{number * step:g} s", FAINT, anchor))
    return parts


def _nice(number: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(number))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= number - 1e-12)
