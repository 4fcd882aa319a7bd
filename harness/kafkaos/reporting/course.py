"""How one test went, phase by phase, until its result can be told."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kafkaos.reporting.results import ERROR, FAILED, SKIPPED, Result, brief, outcome_of, sentence_of

if TYPE_CHECKING:
    from kafkaos.checks import Verdict


@dataclass
class Course:
    """`folder`, `verdicts` and `totals` come from the test's run, where it had one."""

    test: str
    title: str
    cluster: str
    seed: int
    reproduce: str
    rows: tuple[str, ...] = ()
    began_s: float = field(default_factory=time.time)
    duration_s: float = 0.0
    folder: Path | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    without_evidence: bool = False
    faults: tuple[str, ...] = ()
    totals: dict[str, Any] | None = None
    _skipped: bool = False
    _why_skipped: str = ""
    _error: BaseException | None = None
    _when: str = ""

    def phase(self, when: str, *, duration_s: float, skipped: bool, error: BaseException | None) -> None:
        """One of setup, call and teardown is over; the first error is the one that counts."""
        self.duration_s += duration_s
        if skipped:
            self._skipped, self._why_skipped = True, str(error or "")
        elif error is not None and self._error is None:
            self._error, self._when = error, when

    @property
    def outcome(self) -> str:
        """In the words of `results`. A failed assertion is the scenario's, whatever else failed is the harness's."""
        from kafkaos.run import GuaranteeBroken, VerdictUnknown

        if self._skipped:
            return SKIPPED
        if self._error is None:
            return outcome_of(self._not_expected(), without_evidence=self.without_evidence)
        if isinstance(self._error, GuaranteeBroken):
            return "broke"
        if isinstance(self._error, VerdictUnknown):
            return "unknown"
        return FAILED if isinstance(self._error, AssertionError) and self._when == "call" else ERROR

    def _not_expected(self) -> list[Verdict]:
        """Without those that broke in a test that passed: it went on with `judge`, and wanted to see them break."""
        return [verdict for verdict in self.verdicts if verdict.status.value != "fail"]

    def result(self, out: Path) -> Result:
        """The whole of it; `out` is the session's folder."""
        return Result(
            test=self.test,
            outcome=self.outcome,
            sentence=self._sentence(),
            seed=self.seed,
            reproduce=self.reproduce,
            title=self.title,
            cluster=self.cluster,
            folder=None if self.folder is None else str(self.folder.relative_to(out)),
            duration_s=round(self.duration_s, 3),
            began_s=self.began_s,
            rows=self.rows,
            faults=self.faults,
            verdicts=brief(self.verdicts),
            totals=self.totals,
        )

    def _sentence(self) -> str:
        from kafkaos.run import GuaranteeBroken

        if self._skipped:
            return self._why_skipped
        if isinstance(self._error, GuaranteeBroken):
            return sentence_of(self.verdicts)
        if self._error is None:
            broke = [verdict for verdict in self.verdicts if verdict.status.value == "fail"]
            expected = f"As the scenario expects, {sentence_of(broke)}" if broke else ""
            return f"{sentence_of(self._not_expected())} {expected}".strip()
        lines = str(self._error).strip().splitlines() or [type(self._error).__name__]
        return lines[0] if self._when == "call" else f"in {self._when}: {lines[0]}"
