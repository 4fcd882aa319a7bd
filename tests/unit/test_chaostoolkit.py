"""Chaos Toolkit's own library runs experiments on a run of ours, and what it found becomes our verdict."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from kafkaos import chaostoolkit
from kafkaos.errors import WrongUse
from kafkaos.faults import Fault
from kafkaos.planfile import Experiment, read_plan_file
from kafkaos.run import Chaos, GuaranteeBroken, VerdictUnknown
from kafkaos.shipped import shipped

FAULT = {"fault": "kill-client", "client": "a"}


class PaperRun:
    """As much of a run as activities touch; no cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clients: dict[str, Any] = {}
        self.told: list[str] = []

    @contextlib.contextmanager
    def fault(self, fault: Fault) -> Iterator[str]:
        self.told.append(f"inject {fault}")
        try:
            yield f"{fault} was done"
        finally:
            self.told.append(f"heal {fault}")


@pytest.fixture
def paper(tmp_path: Path) -> PaperRun:
    return PaperRun(tmp_path)


def activity(func: str, kind: str = "action", tolerance: Any = None, **arguments: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "type": kind,
        "name": func,
        "provider": {
            "type": "python",
            "module": "kafkaos.chaostoolkit",
            "func": func,
            "arguments": arguments,
        },
    }
    return given if tolerance is None else {**given, "tolerance": tolerance}


def run(paper: PaperRun, *method: dict[str, Any], probes: Any = (), **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"title": "t", "description": "d", "method": list(method), **more}
    if probes:
        given["steady-state-hypothesis"] = {"title": "h", "probes": list(probes)}
    return chaostoolkit.run_experiment(cast(Chaos, paper), Experiment(Path("mine.json"), given))


def test_faults_stay_in_place_until_they_are_healed(paper: PaperRun) -> None:
    """Two actions inject, a third heals one by its name, the rollback heals the other; the journal tells all."""
    other = {"fault": "kill-client", "client": "b"}
    journal = run(
        paper,
        activity("inject", fault=FAULT, name="first"),
        activity("inject", fault=other),
        activity("heal", name="first"),
        rollbacks=[activity("heal")],
    )
    a, b = "kill -9 of client a", "kill -9 of client b"
    assert paper.told == [f"inject {a}", f"inject {b}", f"heal {a}", f"heal {b}"]
    assert [step["output"] for step in journal["run"]] == [f"{a} was done", f"{b} was done", ["first"]]
    kept = json.loads((paper.folder / "journal.json").read_text())
    assert kept["status"] == "completed"
    assert kept["chaoslib-version"]


def test_what_an_experiment_leaves_in_place_is_healed(paper: PaperRun) -> None:
    """Without a rollback of its own, too."""
    run(paper, activity("inject", fault=FAULT))
    assert paper.told[-1] == "heal kill -9 of client a"


def test_a_steady_state_that_is_gone_after_the_method_is_a_broken_guarantee(
    paper: PaperRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe and what it saw are told."""
    monkeypatch.setattr(chaostoolkit, "acknowledged", lambda: len(paper.told))
    with pytest.raises(GuaranteeBroken, match=r"after the method: `acknowledged` saw 1"):
        run(paper, activity("inject", fault=FAULT), probes=[activity("acknowledged", "probe", tolerance=0)])


def test_without_a_steady_state_before_nothing_is_hurt(paper: PaperRun) -> None:
    """A system that is not steady at the start cannot be judged: unknown, and no fault."""
    with pytest.raises(VerdictUnknown, match="before anything was hurt"):
        run(paper, activity("inject", fault=FAULT), probes=[activity("acknowledged", "probe", tolerance=5)])
    assert paper.told == []


def test_an_action_that_fails_makes_the_run_unknown(paper: PaperRun) -> None:
    """The library only notes it and goes on; a fault that was not done proves nothing."""
    with pytest.raises(VerdictUnknown, match=r"`inject` failed: .*did you mean `kill`"):
        run(paper, activity("inject", fault={"fault": "kil"}))


def test_an_invalid_experiment_is_wrong_use(paper: PaperRun) -> None:
    """What the library finds wrong in a file is told with the file's name."""
    with pytest.raises(WrongUse, match=r"mine\.json is no valid experiment: "):
        run(paper, activity("no_such_function"))


def test_an_activity_outside_of_a_run_says_how_to_run_it() -> None:
    """Under Chaos Toolkit's own command there is no cluster of ours."""
    with pytest.raises(WrongUse, match="kafkaos run FILE"):
        chaostoolkit.inject(FAULT)


def test_the_shipped_experiment_is_valid() -> None:
    """The example is one that the library takes."""
    from chaoslib.experiment import ensure_experiment_is_valid

    found = read_plan_file(shipped("scenarios") / "plan" / "experiment.json")
    assert isinstance(found, Experiment)
    ensure_experiment_is_valid(found.given)
