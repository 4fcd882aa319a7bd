"""A night of rounds with a seed each: what it came to, merged for the reports, and its summary.

Of a scenario that ran in several rounds the worst counts: a failure is not undone by the round after it.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kafkaos.reporting.allure3 import RESULTS_FOLDER
from kafkaos.reporting.results import BAD, ORDER, WORDS, Result, append, read

SUMMARY_JSON, SUMMARY_TEXT = "summary.json", "summary.md"
_ALLURE_ORDER = ("failed", "broken", "unknown", "passed", "skipped")
_MS = 1000


@dataclass(frozen=True)
class Night:
    """One call of `kafkaos nightly`: its own folder, when it began (Unix time) and the rounds that it worked on."""

    folder: Path
    began_s: float
    rounds: Sequence[Path]

    def merge(self) -> list[Result]:
        """Write the worst result of each scenario, and Allure's files about it, into the night's folder."""
        worst: dict[str, Result] = {}
        for folder in self.rounds:
            for result in read(folder):
                if result.began_s < self.began_s:
                    continue
                before = worst.get(result.test)
                if before is None or ORDER.index(result.outcome) < ORDER.index(before.outcome):
                    place = None if result.folder is None else (folder / result.folder).resolve()
                    worst[result.test] = replace(result, folder=None if place is None else str(place))
        for result in worst.values():
            append(self.folder, result)
        _merge_allure(self.rounds, self.folder / RESULTS_FOLDER, self.began_s)
        return list(worst.values())


def _merge_allure(rounds: Sequence[Path], target: Path, began_s: float) -> None:
    target.mkdir(parents=True, exist_ok=True)
    worst: dict[str, tuple[dict[str, Any], Path]] = {}
    for folder in rounds:
        source = folder / RESULTS_FOLDER
        for path in sorted(source.glob("*-result.json")):
            result = json.loads(path.read_text(encoding="utf-8"))
            if result.get("start", 0) < began_s * _MS:
                continue
            key = result.get("historyId", path.name)
            if key not in worst or _rank(result) < _rank(worst[key][0]):
                worst[key] = (result, source)
        for name in ("environment.properties", "categories.json"):
            if (source / name).exists():
                shutil.copyfile(source / name, target / name)
    kept = {result["uuid"] for result, _ in worst.values()}
    for result, source in worst.values():
        _keep(result, source, target, f"{result['uuid']}-result.json")
    for source in {source for _, source in worst.values()}:
        for path in source.glob("*-container.json"):
            container = json.loads(path.read_text(encoding="utf-8"))
            if kept.intersection(container.get("children", ())):
                _keep(container, source, target, path.name)


def _keep(value: dict[str, Any], source: Path, target: Path, name: str) -> None:
    for attachment in _attachments(value):
        if (source / attachment).exists():
            shutil.copyfile(source / attachment, target / attachment)
    (target / name).write_text(json.dumps(value), encoding="utf-8")


def _attachments(value: Any) -> list[str]:
    """The files that a result, its steps or its fixtures name."""
    if isinstance(value, list):
        return [name for item in value for name in _attachments(item)]
    if not isinstance(value, dict):
        return []
    own = [str(item["source"]) for item in value.get("attachments") or () if "source" in item]
    return own + [name for key in ("steps", "befores", "afters") for name in _attachments(value.get(key))]


def _rank(result: dict[str, Any]) -> int:
    status = result.get("status", "unknown")
    return _ALLURE_ORDER.index(status) if status in _ALLURE_ORDER else len(_ALLURE_ORDER)


def summary(
    night: Night, results: Sequence[Result], *, before: Sequence[Result], seeds: Sequence[int]
) -> dict[str, Any]:
    """What a program needs of a night; `new` are those that did not hold now and did, or were not there, before."""
    known = {result.test for result in before if result.outcome in BAD}
    bad = [result for result in results if result.outcome in BAD]
    return {
        "night": night.folder.name,
        "seeds": list(seeds),
        "rounds": [str(folder) for folder in night.rounds],
        "counts": dict(Counter(result.outcome for result in results)),
        "not_held": [
            {
                "test": result.test, "outcome": result.outcome, "sentence": result.sentence, "seed": result.seed,
                "reproduce": result.reproduce, "new": result.test not in known,
            }
            for result in sorted(bad, key=lambda r: ORDER.index(r.outcome))
        ],
    }  # fmt: skip


def markdown(told: dict[str, Any]) -> str:
    """The summary for a job's page or a person."""
    counts = (
        ", ".join(f"{count} {WORDS[outcome]}" for outcome, count in told["counts"].items()) or "nothing ran"
    )
    lines = [
        f"## kafkaos: night {told['night']}",
        "",
        f"{counts}. Seeds: {', '.join(map(str, told['seeds'])) or 'none'}.",
    ]
    for item in told["not_held"]:
        new = " (new)" if item["new"] else ""
        lines += ["", f"- **{WORDS[item['outcome']]}**{new} `{item['test']}`: {item['sentence']}", "",
                  "  ```", f"  {item['reproduce']}", "  ```"]  # fmt: skip
    return "\n".join(lines) + "\n"
