"""The files that `kafkaos run FILE` takes: a plan of ours, or a Chaos Toolkit experiment."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafkaos.errors import WrongUse
from kafkaos.faults.plan import Plan, plan_from_json
from kafkaos.shipped import read_text


@dataclass(frozen=True)
class Experiment:
    """A Chaos Toolkit experiment as read, not yet looked at."""

    path: Path
    given: dict[str, Any]


def read_plan_file(path: Path) -> Plan | Experiment:
    """A JSON object with `steps` is a plan, one with `method` an experiment.

    Raises WrongUse, with the file and the place, for what is neither.
    """
    text = read_text(path)
    try:
        given = json.loads(text)
    except ValueError as error:
        raise WrongUse(f"{path} is not JSON ({error}): write a plan or an experiment as JSON.") from None
    if isinstance(given, dict) and "method" in given:
        return Experiment(path, given)
    if isinstance(given, dict) and "steps" in given:
        try:
            plan = plan_from_json(given)
        except WrongUse as error:
            raise WrongUse(f"{path}: {error}") from None
        if not plan.faults:
            raise WrongUse(f"{path}: a plan without a fault does nothing: add a step with one.")
        return plan
    raise WrongUse(
        f"{path} has neither `steps` (a plan) nor `method` (a Chaos Toolkit experiment): docs/plans.md has both."
    )
