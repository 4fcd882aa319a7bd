"""All that a report tells of one run: gathered once from its folder, for Allure and for the page of our own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kafkaos.checks import GUARANTEES, Verdict
from kafkaos.errors import BrokenRecording
from kafkaos.history import Recording, load
from kafkaos.reporting.logs import broker_logs
from kafkaos.reporting.secrets import clean
from kafkaos.reporting.timeline import Timeline, timeline
from kafkaos.run import PLAN_FILE, verdicts_of

PLACES = frozenset({"out", "file", "client_config"})


@dataclass(frozen=True)
class FaultTold:
    """A fault as it was asked for and as it came."""

    name: str
    title: str
    target: str
    evidence: str
    json: Any
    number: int


@dataclass(frozen=True, kw_only=True)
class Story:
    """`timeline` is None where nothing could be read; `settings` and all texts have no secrets."""

    folder: Path
    verdicts: Sequence[Verdict] = ()
    timeline: Timeline | None = None
    faults: Sequence[FaultTold] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    problem: str = ""

    @property
    def reproduce(self) -> str:
        """The command that shows the run again; empty of a stranger's recording."""
        return str(self.settings.get("settings", {}).get("reproduce", ""))

    @property
    def plan(self) -> dict[str, Any]:
        """What it takes to see the run again: its plan, else its seed, faults in order and guarantees."""
        explicit = self.folder / PLAN_FILE
        if explicit.exists():
            return dict(clean(json.loads(explicit.read_text(encoding="utf-8"))))
        return {
            "seed": self.settings.get("seed"),
            "cluster": self.settings.get("cluster"),
            "faults": [fault.json for fault in self.faults],
            "guarantees": self.settings.get("guarantees", []),
            "reproduce": self.reproduce,
        }


def story(folder: Path, *, logs: bool = True) -> Story:
    """Of a run's folder; also of one whose run ended before it was judged, or was cut off."""
    verdicts = verdicts_of(folder)
    try:
        recording = load(folder)
    except BrokenRecording as error:
        return Story(folder=folder, verdicts=verdicts, problem=str(error))
    return Story(
        folder=folder,
        verdicts=verdicts,
        timeline=None if recording.rows.is_empty() else timeline(recording, verdicts),
        faults=faults_told(recording),
        settings=_settings(recording.meta),
        logs=broker_logs(folder, recording) if logs else {},
    )


def _settings(meta: Mapping[str, Any]) -> dict[str, Any]:
    """What a run was made with, without where on which machine that was."""
    told = dict(clean(dict(meta)))
    given = told.get("settings")
    if isinstance(given, dict):
        told["settings"] = {name: value for name, value in given.items() if name not in PLACES}
    return told


def faults_told(recording: Recording) -> list[FaultTold]:
    """The faults in order, with what proved that they bit."""
    proofs = {
        e.details.get("of_fault"): e.details.get("evidence") for e in recording.events if e.kind == "evidence"
    }
    found = []
    for event in recording.events:
        if event.kind == "inject":
            given = event.details.get("fault_json") or {"name": event.name}
            proof = proofs.get(event.number)
            found.append(
                FaultTold(
                    name=event.name,
                    title=str(given.get("title", event.name)),
                    target=str(event.details.get("target", "")),
                    evidence=str(proof.get("told", "")) if isinstance(proof, dict) else "",
                    json=clean(given),
                    number=event.number,
                )
            )
    return found


def guarantee_title(name: str) -> str:
    """A guarantee in plain words."""
    kind = GUARANTEES.get(name)
    return kind.title if kind else name
