"""The part of the page about one scenario: verdict, command, timeline, guarantees with witnesses, faults, logs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from kafkaos.checks import Verdict
from kafkaos.reporting.drawing import NARROW, WIDE, draw
from kafkaos.reporting.results import BAD, WORDS, Result
from kafkaos.reporting.secrets import clean_text
from kafkaos.reporting.story import Story, guarantee_title
from kafkaos.reporting.timeline import Timeline
from kafkaos.shipped import shipped

# The news first.
VERDICT_WORDS = {"fail": "BROKE", "unknown": "unknown", "pass": "held"}
WITNESSES_TOLD = 3


def anchor(result: Result) -> str:
    """The fragment that opens the scenario."""
    return "s-" + hashlib.sha256(result.test.encode()).hexdigest()[:10]


def badge(outcome: str) -> str:
    return f'<span class="badge {outcome}">{escape(WORDS[outcome])}</span>'


def section(result: Result, story: Story | None) -> str:
    """The whole part; without a story (the run made no recording) what the result alone tells."""
    parts = [
        '<p><a href="#">← all scenarios</a></p>',
        f"<h1>{escape(result.heading)}</h1>",
        f"<p>{_words(result.title)}</p>" if result.title else "",
        _verdict(result, story),
        _command(result),
    ]
    if story is not None:
        if story.problem:
            parts.append(f'<p class="card">{escape(story.problem)}</p>')
        if story.timeline is not None:
            parts += ["<h2>Timeline</h2>", picture(story.timeline)]
        if story.verdicts:
            parts += ["<h2>Guarantees</h2>", _guarantees(story.verdicts)]
        parts += [_faults(story), _logs(story), _settings(story)]
    return f'<section class="scenario" id="{anchor(result)}">{"".join(parts)}</section>'


def alone(story: Story) -> str:
    """The timeline as a page of its own, to point at."""
    style = (shipped("reports") / "page.css").read_text(encoding="utf-8")
    script = (shipped("reports") / "page.js").read_text(encoding="utf-8")
    body = "" if story.timeline is None else picture(story.timeline)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>timeline</title><style>{style}</style></head>'
        f"<body><main>{body}</main><script>{script}</script></body></html>"
    )


def picture(timeline: Timeline) -> str:
    """Both widths of the timeline, and its numbers for the pointer."""
    data = json.dumps(timeline.to_json(), separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    return (
        f'<div class="card picture"><div class="wide">{draw(timeline, width=WIDE)}</div>'
        f'<div class="narrow">{draw(timeline, width=NARROW)}</div><div class="moment"></div><div class="told"></div>'
        f'<script type="application/json">{data}</script></div>'
    )


def _verdict(result: Result, story: Story | None) -> str:
    sentences = (
        [
            f"{v.guarantee}: {v.sentence}"
            for v in (story.verdicts if story else ())
            if v.status.value != "pass"
        ]
        if result.outcome in BAD
        else []
    )
    told = "".join(f"<li>{escape(s)}</li>" for s in sentences)
    words = f"<ul>{told}</ul>" if told else f" {escape(clean_text(result.sentence))}"
    facts = f"cluster {result.cluster}, seed {result.seed}, {result.duration_s:.1f} s"
    return (
        f'<div class="card verdict {result.outcome}">{badge(result.outcome)}{words}'
        f'<div class="faint">{escape(facts)}</div></div>'
    )


def _command(result: Result) -> str:
    if not result.reproduce:
        return ""
    words = "Show the failure again" if result.outcome in BAD else "Run it again"
    return (
        f'<div class="faint">{words}:</div><div class="command"><code>{escape(result.reproduce)}</code>'
        '<button type="button">Copy</button></div>'
    )


def _guarantees(verdicts: Sequence[Verdict]) -> str:
    rows = []
    for verdict in sorted(verdicts, key=lambda v: list(VERDICT_WORDS).index(v.status.value)):
        status = verdict.status.value
        rows.append(
            f'<tr><td><span class="badge {status}">{VERDICT_WORDS[status]}</span></td>'
            f"<td>{escape(guarantee_title(verdict.guarantee))}"
            f'<br><span class="faint mono">{verdict.guarantee}</span></td>'
            f'<td class="wrap">{escape(verdict.sentence)}{_witnesses(verdict)}</td></tr>'
        )
    head = "<th>verdict</th><th>guarantee</th><th>what was seen</th>"
    return (
        f'<div class="card"><table class="stack"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _witnesses(verdict: Verdict) -> str:
    """The first few; the others are a click away."""
    items = [f"<li>{escape(witness.sentence)}</li>" for witness in verdict.witnesses]
    if not items:
        return ""
    first, more = items[:WITNESSES_TOLD], items[WITNESSES_TOLD:]
    folded = f"<details><summary>{len(more)} more</summary><ul>{''.join(more)}</ul></details>" if more else ""
    return f"<ul>{''.join(first)}</ul>{folded}"


def _faults(story: Story) -> str:
    if not story.faults:
        return "<h2>Faults</h2><p class=faint>None was injected.</p>"
    marks = story.timeline.faults if story.timeline else []
    rows = []
    for place, fault in enumerate(story.faults):
        when = ""
        if place < len(marks):
            end = marks[place].to_s
            when = f"{marks[place].from_s:.1f} s to " + ("the end" if end is None else f"{end:.1f} s")
        rows.append(
            f"<tr><td>{escape(fault.title)}<br><span class='faint mono'>{escape(fault.name)}</span></td>"
            f"<td class=wrap>{escape(fault.target)}</td><td class=when>{when}</td>"
            f"<td class=wrap>{escape(fault.evidence) or '<b>No evidence that it bit.</b>'}</td></tr>"
        )
    head = "<th>fault</th><th>target</th><th>when</th><th>evidence that it bit</th>"
    return (
        '<h2>Faults</h2><div class="card"><table class="stack"><thead><tr>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _logs(story: Story) -> str:
    if not story.logs:
        return ""
    logs = "".join(
        f"<details><summary>{escape(name)} ({text.count(chr(10)):,} lines)</summary><pre>{escape(text)}</pre></details>"
        for name, text in story.logs.items()
    )
    when = "around the faults" if story.faults else "during the run"
    return f"<h2>Brokers' logs {when}</h2>{logs}"


def _place(folder: Path) -> str:
    """Where a run's folder is from here; of one elsewhere only its place within its session."""
    here = folder.absolute()
    return str(here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else Path(*here.parts[-2:]))


def _words(text: str) -> str:
    """A docstring's words, with `names` set as such."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _settings(story: Story) -> str:
    text = json.dumps(story.settings, indent=1, ensure_ascii=False)
    plan = json.dumps(story.plan, indent=1, ensure_ascii=False)
    return (
        f"<h2>Settings</h2><details><summary>plan</summary><pre>{escape(plan)}</pre></details>"
        f"<details><summary>settings and versions</summary><pre>{escape(text)}</pre></details>"
        '<p class="faint wrap">Judge the recording again: '
        f"<code>kafkaos check {escape(_place(story.folder))}</code></p>"
    )
