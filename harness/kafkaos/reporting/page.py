"""One self-contained HTML page about one or more sessions: it opens offline, on a desk and on a phone.

Everything is rendered here and escaped; the script of the page only filters, copies and tells the moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path

from kafkaos.reporting.results import MEANINGS, ORDER, WORDS, Result
from kafkaos.reporting.scenario_page import anchor, badge, section
from kafkaos.reporting.secrets import clean_text
from kafkaos.reporting.story import Story
from kafkaos.shipped import shipped

SLOWEST = 5
HISTORY_MAX = 30


@dataclass(frozen=True)
class Session:
    """One run of pytest or `kafkaos run`: its folder and what each test came to."""

    folder: Path
    results: Sequence[Result]


def render(sessions: Sequence[Session], stories: dict[str, Story], *, title: str = "kafkaos") -> str:
    """The page: the newest session is told, the others are its history. `stories` by the test of the newest."""
    newest = sessions[-1]
    results = sorted(newest.results, key=lambda r: ORDER.index(r.outcome))
    style = (shipped("reports") / "page.css").read_text(encoding="utf-8")
    script = (shipped("reports") / "page.js").read_text(encoding="utf-8")
    sections = "\n".join(section(result, stories.get(result.test)) for result in results)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><link rel="icon" href="data:,"><style>
{style}</style></head><body><main>
<div id="overview">
<h1>{escape(title)}</h1>
{_facts(newest)}
{_tiles(results)}
{_table(results, sessions, stories)}
{_slowest(results)}
</div>
{sections}
</main><script>
{script}</script></body></html>
"""


def _facts(session: Session) -> str:
    began = min((r.began_s for r in session.results if r.began_s), default=None)
    seeds = sorted({r.seed for r in session.results})
    facts = [
        "" if began is None else f"{datetime.fromtimestamp(began):%Y-%m-%d %H:%M:%S}",
        f"{len(session.results)} scenarios" if len(session.results) != 1 else "1 scenario",
        f"{sum(r.duration_s for r in session.results):,.0f} s of tests",
        f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds",
    ]
    return f'<p class="faint">{escape(" · ".join(fact for fact in facts if fact))}</p>'


def _tiles(results: Sequence[Result]) -> str:
    counted = Counter(result.outcome for result in results)
    tiles = [
        f'<button class="{outcome}" data-outcome="{outcome}" aria-pressed="false" title="{escape(MEANINGS[outcome])}">'
        f"<b>{counted[outcome]}</b>{escape(WORDS[outcome])}</button>"
        for outcome in ORDER
        if counted[outcome]
    ]
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _table(results: Sequence[Result], sessions: Sequence[Session], stories: dict[str, Story]) -> str:
    past = sessions[-HISTORY_MAX:]
    over_time = len(past) > 1
    outcomes = [{result.test: result for result in session.results} for session in past]
    rows = []
    for result in results:
        told = stories.get(result.test)
        faults = ", ".join(dict.fromkeys(fault.name for fault in told.faults) if told else result.faults)
        history = "".join(_square(mine.get(result.test)) for mine in outcomes)
        recovery = (result.totals or {}).get("recovery_s")
        rows.append(
            f'<tr data-outcome="{result.outcome}"><td>{badge(result.outcome)}</td>'
            f'<td class="wrap"><a href="#{anchor(result)}">{escape(result.heading)}</a>'
            f'<br><span class="faint">{escape(clean_text(result.sentence))}</span></td>'
            f'<td data-label="faults:">{escape(faults)}</td>'
            f'<td class="number" data-label="recovery:">{"" if recovery is None else f"{recovery:.1f} s"}</td>'
            f'<td class="number" data-label="took:">{result.duration_s:.1f} s</td>'
            + (f'<td class="history" data-label="last {len(past)} runs:">{history}</td>' if over_time else "")
            + "</tr>"
        )
    head = "<th>verdict</th><th>scenario</th><th>faults</th><th class=number>recovery</th><th class=number>took</th>"
    head += f"<th>last {len(past)} runs</th>" if over_time else ""
    return (
        f'<div class="card"><table class="stack" id="scenarios"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _square(result: Result | None) -> str:
    if result is None:
        return '<i title="did not run"></i>'
    words = f"seed {result.seed}: {WORDS[result.outcome]}"
    return f'<i class="{result.outcome}" title="{escape(words)}"></i>'


def _slowest(results: Sequence[Result]) -> str:
    slow = sorted(results, key=lambda r: -r.duration_s)[:SLOWEST]
    items = "".join(
        f'<li><a href="#{anchor(r)}">{escape(r.heading)}</a> {r.duration_s:.1f} s</li>' for r in slow
    )
    return f"<h2>The slowest</h2><ol>{items}</ol>" if len(results) > SLOWEST else ""
