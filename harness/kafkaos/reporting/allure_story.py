"""A run told to Allure: epic = guarantee, feature = fault, story = scenario; what was seen, and how to see it again.

Called in the main thread while the test's call phase is open: what is attached later would belong to its fixtures.
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import allure
from allure import attachment_type as kinds
from allure_commons.model2 import Status as AllureStatus
from allure_commons.model2 import StatusDetails, TestResult

from kafkaos.checks import Status
from kafkaos.history.recording import ARCHIVE_FILE
from kafkaos.reporting.drawing import draw
from kafkaos.reporting.results import CUT, MEANINGS, sentence_of
from kafkaos.reporting.scenario_page import alone
from kafkaos.reporting.story import Story, guarantee_title, story
from kafkaos.run import tell
from kafkaos.shipped import shipped

RECORDING_MAX_BYTES = 20_000_000
NO_FAULT, NO_GUARANTEE = "no fault", "no guarantee was judged"
# Only the copy of the parameters that names the test may make its history; seed, folder and ports are new each time.
NOT_OF_THE_HISTORY = ("seed", "backend", "java")


def tell_allure(
    folder: Path, *, title: str, scenario: str, rows: Sequence[str], severity: str | None
) -> None:
    """Labels, description and attachments of the test that runs now; `severity` None where the test has its own."""
    told = story(folder)
    allure.dynamic.title(title)
    allure.dynamic.description(description(told))
    guarantees = dict.fromkeys(guarantee_title(v.guarantee) for v in told.verdicts)
    allure.dynamic.epic(*(guarantees or [NO_GUARANTEE]))
    allure.dynamic.feature(*(dict.fromkeys(fault.title for fault in told.faults) or [NO_FAULT]))
    allure.dynamic.story(scenario)
    for row in rows:
        allure.dynamic.tag(row)
    if severity is not None:
        allure.dynamic.severity(severity)
    settings = told.settings.get("settings", {})
    for name in NOT_OF_THE_HISTORY:
        allure.dynamic.parameter(name, settings.get(name), excluded=True)
    _attach(told)


def tell_cut(listener: Any) -> None:
    """Of the test that runs now: it was interrupted. allure-pytest would keep what its setup came to: passed."""
    test = listener.allure_logger.get_last_item(TestResult)
    test.status, test.statusDetails = AllureStatus.SKIPPED, StatusDetails(message=MEANINGS[CUT])


def severity_of(folder: Path) -> str:
    """A run through faults whose guarantees were judged matters more than one without."""
    events = folder / "events.jsonl"
    return "critical" if events.exists() and '"kind": "inject"' in events.read_text() else "normal"


def description(told: Story) -> str:
    """Markdown: the verdicts with their counts, the witnesses of what did not hold, the faults, the command."""
    bad = [v for v in told.verdicts if v.status is not Status.PASS]
    parts = [] if bad else [f"**{sentence_of(told.verdicts) or 'Nothing was judged.'}**"]
    for v in bad:
        parts.append(
            f"- **`{v.guarantee}` {'broke' if v.status is Status.FAIL else 'is unknown'}: {v.sentence}**"
        )
        parts += [f"    - {witness.sentence}" for witness in v.witnesses[:3]]
    if told.faults:
        parts.append("\nFaults:\n")
        parts += [
            f"- {f.title}, {f.target or 'as in the plan'}: {f.evidence or '**no evidence**'}"
            for f in told.faults
        ]
    if told.reproduce:
        parts.append(f"\nRun it again:\n\n```\n{told.reproduce}\n```")
    return "\n".join(parts)


def _attach(told: Story) -> None:
    if told.reproduce:
        allure.attach(told.reproduce, name="run it again", attachment_type=kinds.TEXT)
    if told.timeline is not None:
        allure.attach(draw(told.timeline), name="timeline", attachment_type=kinds.SVG)
        allure.attach(alone(told), name="timeline to point at (download it)", attachment_type=kinds.HTML)
    bad = [v for v in told.verdicts if v.status is not Status.PASS]
    if bad:
        allure.attach("\n\n".join(map(tell, bad)), name="witnesses", attachment_type=kinds.TEXT)
    if told.verdicts:
        _attach_json("verdicts", [v.to_json() for v in told.verdicts])
    _attach_json("plan", told.plan)
    _attach_json("settings and versions", {**told.settings, "machine": machine()})
    for name, text in told.logs.items():
        allure.attach(text, name=f"{name}.log, around the faults", attachment_type=kinds.TEXT)
    recording = told.folder / ARCHIVE_FILE
    if told.problem:
        allure.attach(told.problem, name="recording", attachment_type=kinds.TEXT)
    elif recording.exists() and recording.stat().st_size <= RECORDING_MAX_BYTES:
        allure.attach.file(str(recording), name="recording (kafkaos check FILE)", extension="parquet")


def _attach_json(name: str, value: Any) -> None:
    allure.attach(json.dumps(value, indent=1, ensure_ascii=False), name=name, attachment_type=kinds.JSON)


def machine() -> dict[str, str]:
    """What software ran it; no name of the machine or of its user."""
    return {
        "kafkaos": version("kafkaos"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "librdkafka": version("confluent-kafka"),
    }


def write_surroundings(results: Path, facts: Mapping[str, Any]) -> None:
    """environment.properties and categories.json beside Allure's results."""
    if not results.is_dir():
        return
    lines = [f"{name} = {value}" for name, value in {**machine(), **facts}.items()]
    (results / "environment.properties").write_text("\n".join(lines) + "\n", encoding="utf-8")
    shutil.copyfile(shipped("reports") / "categories.json", results / "categories.json")
