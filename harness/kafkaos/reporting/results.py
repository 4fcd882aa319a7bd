"""What each scenario of a session came to: `results.jsonl` in the session's folder, one JSON object a line.

Written by the pytest plugin as tests end, read by `kafkaos report`, `kafkaos nightly` and the terminal's summary.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kafkaos.errors import BrokenRecording, WrongUse

# The plugin reads this module in every pytest run: what checks and recordings need is imported where it is used.
if TYPE_CHECKING:
    from kafkaos.checks import Verdict

RESULTS_FILE = "results.jsonl"
RUNS_FOLDER = "runs"
"""In a session's folder: a folder for each test's recording."""
TIME_IS_UP = "time-is-up"
"""In a session that stopped because of --kafka-minutes: the ids of the tests that had no time, one a line."""

HELD, PASSED, CUT, SKIPPED = "held", "passed", "cut", "skipped"
BROKE, FAILED, UNKNOWN, ERROR = "broke", "failed", "unknown", "error"
WORDS = {
    HELD: "held", PASSED: "passed", CUT: "cut off", SKIPPED: "skipped", BROKE: "BROKE", FAILED: "FAILED",
    UNKNOWN: "unknown", ERROR: "harness failed",
}  # fmt: skip
MEANINGS = {
    HELD: "every guarantee that was judged held",
    PASSED: "the test passed; no guarantee had to hold",
    CUT: "it was interrupted before its end: nothing is known of the guarantees, and nothing is wrong",
    SKIPPED: "it did not run",
    BROKE: "a guarantee broke",
    FAILED: "an assertion of the scenario failed",
    UNKNOWN: "too little was seen, or a fault left no evidence: neither held nor broke",
    ERROR: "the harness or the machine failed; nothing is known of the guarantees",
}
# The news first.
ORDER = (BROKE, FAILED, ERROR, UNKNOWN, HELD, PASSED, CUT, SKIPPED)
BAD = frozenset({BROKE, FAILED, ERROR, UNKNOWN})
NOT_DONE = frozenset({CUT, SKIPPED})
"""Nothing was proven, and a session that is resumed runs it again."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One test with a cluster. `folder` is relative to the session's; `began_s` is Unix time."""

    test: str
    outcome: str
    sentence: str
    seed: int
    reproduce: str
    title: str = ""
    cluster: str = ""
    folder: str | None = None
    duration_s: float = 0.0
    began_s: float = 0.0
    rows: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    verdicts: tuple[dict[str, str], ...] = ()
    totals: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The test's own name, without file and `test_`."""
        return self.test.split("::", 1)[-1].removeprefix("test_")

    @property
    def heading(self) -> str:
        """The name as words, which may be broken between them; its parameters apart."""
        words, bracket, parameters = self.name.partition("[")
        return words.replace("_", " ") + (f" [{parameters}" if bracket else "")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> Result:
        lists = {name: tuple(given.get(name, ())) for name in ("rows", "faults", "verdicts")}
        known = {name: value for name, value in given.items() if name in cls.__dataclass_fields__}
        return cls(**{**known, **lists})


def outcome_of(verdicts: Sequence[Verdict], *, without_evidence: bool = False) -> str:
    """What verdicts alone come to."""
    statuses = {verdict.status.value for verdict in verdicts}
    if "fail" in statuses:
        return BROKE
    if "unknown" in statuses or without_evidence:
        return UNKNOWN
    return HELD if verdicts else PASSED


def sentence_of(verdicts: Sequence[Verdict]) -> str:
    """The verdicts in one line: those that did not hold, else how many held and what the first of them counted."""
    bad = [v for v in verdicts if v.status.value != "pass"]
    if bad:
        return " ".join(f"{v.guarantee}: {v.sentence}" for v in bad)
    if not verdicts:
        return ""
    guarantees = "1 guarantee" if len(verdicts) == 1 else f"{len(verdicts)} guarantees"
    return f"{guarantees} held. {verdicts[0].sentence}"


def check_folder(out: Path) -> None:
    """WrongUse for a place where no folder can be, because a file is there or above."""
    there = next(place for place in (out, *out.parents) if place.exists())
    if not there.is_dir():
        raise WrongUse(f"{there} is a file, and a folder is written there: name another one.")


def begin(out: Path) -> None:
    """From here on a run in the session's folder that has no line was cut off, be it by `kill -9`."""
    out.mkdir(parents=True, exist_ok=True)
    (out / RESULTS_FILE).touch()


def append(out: Path, result: Result) -> None:
    """Add a line; a folder that is not there is made."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / RESULTS_FILE).open("a+b") as file:
        file.seek(0)
        whole, newline, half = file.read().rpartition(b"\n")
        if half:  # of a writer that was killed, or had no room: what comes behind it would be broken too
            file.truncate(len(whole + newline))
        file.write(json.dumps(result.to_json(), ensure_ascii=False).encode() + b"\n")


def read(out: Path) -> list[Result]:
    """The results of a session in order, of a repeated test the last, then the runs that were cut off before theirs.

    Of an older folder what its runs tell.
    """
    path = out / RESULTS_FILE
    if not path.exists():
        return _from_runs(out)
    found: dict[str, Result] = {}
    whole, _, _ = path.read_text(encoding="utf-8").rpartition(
        "\n"
    )  # a writer that was killed left half a line
    # splitlines would cut at U+2028 within a sentence.
    for number, line in enumerate(whole.split("\n") if whole else [], 1):
        try:
            result = Result.from_json(json.loads(line))
        except (ValueError, TypeError, AttributeError) as error:
            raise BrokenRecording(
                f"{path} is broken in line {number} ({error}): delete the line, or take the folder from a good copy"
            ) from None
        found.pop(result.test, None)
        found[result.test] = result
    return [*found.values(), *_cut_off(out, found)]


def _cut_off(out: Path, ended: Collection[str]) -> list[Result]:
    """The runs that were begun and have no line."""
    if not (out / RUNS_FOLDER).is_dir():
        return []
    from kafkaos.history.recording import META_FILE

    metas = sorted((out / RUNS_FOLDER).glob(f"*/{META_FILE}"), key=lambda path: path.stat().st_mtime)
    begun = (of_run(path.parent, out) for path in metas)
    return [
        replace(
            run,
            outcome=CUT,
            sentence=f"It was cut off when it had judged: {run.sentence}"
            if run.verdicts
            else "It was cut off before anything was judged.",
        )
        for run in begun
        if run.test not in ended
    ]


def _from_runs(out: Path) -> list[Result]:
    from kafkaos.history.recording import META_FILE

    metas = sorted(out.rglob(META_FILE), key=lambda path: path.stat().st_mtime)
    return [of_run(path.parent, out) for path in metas]


def of_run(folder: Path, out: Path) -> Result:
    """What one run's folder tells alone, without its session."""
    from kafkaos.history.recording import META_FILE, read_meta
    from kafkaos.run import verdicts_of

    meta = read_meta(folder)
    settings = meta.get("settings", {})
    verdicts = verdicts_of(folder)
    return Result(
        test=settings.get("test", meta.get("run", folder.name)),
        outcome=outcome_of(verdicts) if verdicts else ERROR,
        sentence=sentence_of(verdicts) or "The run ended before anything was judged.",
        seed=meta.get("seed", 0),
        reproduce=settings.get("reproduce", ""),
        cluster=meta.get("cluster", {}).get("name", ""),
        folder=str(folder.relative_to(out)),
        began_s=(folder / META_FILE).stat().st_mtime,
        verdicts=brief(verdicts),
    )


def brief(verdicts: Iterable[Verdict]) -> tuple[dict[str, str], ...]:
    """Guarantee, status and sentence of each verdict."""
    return tuple(
        {"guarantee": v.guarantee, "status": v.status.value, "sentence": v.sentence} for v in verdicts
    )
