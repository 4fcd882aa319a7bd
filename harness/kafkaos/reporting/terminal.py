"""What pytest's terminal tells of scenarios: each verdict in words, the table, the slowest, how to see it again.

A pytest plugin by its method names. It reads nothing but the reports, so it is the same with pytest-xdist.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from kafkaos.reporting.results import BAD, ORDER, RESULTS_FILE, WORDS, Result, append

RESULT_PROPERTY = "kafkaos_result"
OUTCOME_PROPERTY = "kafkaos_outcome"
SLOWEST = 3
TOLD_WHOLE = 3
TOLD_EACH = 40
"""Of more scenarios only those that did not hold are told: nobody has to look for them among hundreds of lines."""
_MARKUP = {"held": {"green": True}, "passed": {"green": True}, "broke": {"red": True, "bold": True},
           "failed": {"red": True, "bold": True}}  # fmt: skip
_DOUBT = {"yellow": True}


class Terminal:
    """Of one session; `out` is where `results.jsonl` is written."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.results: list[Result] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        given = dict(report.user_properties).get(RESULT_PROPERTY)
        if report.when == "teardown" and given is not None:
            result = Result.from_json(json.loads(given))
            self.results.append(result)
            append(self.out, result)

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """With -v the verdict is told in the words of kafkaos."""
        if (
            report.when != "call" or report.outcome == "skipped"
        ):  # the report of a collection has no properties
            return None
        outcome = dict(report.user_properties).get(OUTCOME_PROPERTY)
        if outcome is None:
            return None
        letter = "." if report.passed else "F"
        return report.outcome, letter, (WORDS[outcome].upper(), _MARKUP.get(outcome, _DOUBT))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.results:
            _tell(terminalreporter, self.results, self.out)


def _tell(terminal: Any, results: list[Result], out: Path) -> None:
    from rich.console import Console

    from kafkaos.checks import Verdict
    from kafkaos.reporting.table import Totals, guarantees_table, totals_table

    console = Console(file=terminal._tw._file, width=max(100, terminal._tw.fullwidth))
    bad = [result for result in results if result.outcome in BAD]
    told = results if len(results) <= TOLD_EACH else bad
    judged = [result for result in results if result.verdicts]
    if judged:
        terminal.section("kafkaos: guarantees")
    for result in judged:
        # Of many scenarios the broken ones are told whole, of a few all.
        if len(judged) <= TOLD_WHOLE or result.outcome in BAD:
            verdicts = [Verdict.from_json({**v, "counts": {}, "witnesses": []}) for v in result.verdicts]
            console.print(guarantees_table(result.name, verdicts))
    counted = [(result.heading, Totals(**result.totals)) for result in told if result.totals]
    if counted:
        console.print(totals_table(counted))
    terminal.section("kafkaos: scenarios")
    for result in sorted(told, key=lambda r: ORDER.index(r.outcome)):
        terminal.write(f"{WORDS[result.outcome]:<8}", **_MARKUP.get(result.outcome, _DOUBT))
        first, *_ = result.sentence.splitlines() or [""]
        terminal.write_line(f" {result.name} ({result.duration_s:.1f} s): {first}")
    others = Counter(WORDS[result.outcome] for result in results) - Counter(WORDS[r.outcome] for r in told)
    for word, count in others.most_common():
        terminal.write_line(f"{word:<8} {count:,} scenarios; {out / RESULTS_FILE} tells each")
    if len(results) > SLOWEST:
        slow = sorted(results, key=lambda r: -r.duration_s)[:SLOWEST]
        terminal.write_line("the slowest: " + ", ".join(f"{r.name} {r.duration_s:.1f} s" for r in slow))
    if bad:
        terminal.write_line("show it again:")
        for result in bad:
            terminal.write_line(f"  {result.reproduce}")
    terminal.write_line(f"recordings: {out}")
