"""What a run leaves in its folder beside the recording, and what is read of it again: its plan and its verdicts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from kafkaos.checks import Verdict
from kafkaos.errors import WrongUse
from kafkaos.faults.plan import Plan, plan_from_json

PLAN_FILE = "plan.json"
VERDICTS_FILE = "verdicts.json"


class KeptPlan:
    """The explicit plan of a run as it goes on, in `plan.json`; of a replay, the plan that it is to follow."""

    def __init__(self, folder: Path, replay: Plan | None) -> None:
        self._folder = folder
        self._replay = replay
        self._plan = Plan()

    def go_on(self, plan: Plan, *, fixed: bool) -> Plan:
        """What comes next. In a replay what came then, which what is `fixed` must equal; else WrongUse."""
        if self._replay is not None:
            at = len(self._plan.steps)
            stored = Plan(self._replay.steps[at : at + len(plan.steps)])
            if fixed and stored.faults != plan.faults:
                then = ", ".join(map(str, stored.faults)) or "nothing more"
                raise WrongUse(
                    f"this scenario does {plan.faults[0]} as step {at + 1}, the stored plan has {then}: "
                    "replay it with the scenario as it was recorded"
                )
            plan = stored
        self._plan = Plan((*self._plan.steps, *plan.steps))
        (self._folder / PLAN_FILE).write_text(json.dumps(self._plan.to_json(), indent=1) + "\n")
        return plan


def plan_of(folder: Path) -> Plan:
    """The plan that a run left in its folder; WrongUse where there is none, or a broken one."""
    path = folder / PLAN_FILE
    try:
        return plan_from_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise WrongUse(f"{folder} holds no {PLAN_FILE}: name the folder of a run that had faults") from None
    except ValueError as error:
        raise WrongUse(f"{path} is not JSON ({error}): take it from a good copy of the run") from None


def keep_verdicts(folder: Path, verdicts: Sequence[Verdict]) -> None:
    """Write all verdicts of a run so far, in place of those before."""
    text = json.dumps([verdict.to_json() for verdict in verdicts], indent=1)
    (folder / VERDICTS_FILE).write_text(text)


def verdicts_of(folder: Path) -> Sequence[Verdict]:
    """The verdicts that a run left in its folder; none if it did not get that far."""
    path = folder / VERDICTS_FILE
    return [Verdict.from_json(given) for given in json.loads(path.read_text())] if path.exists() else []
