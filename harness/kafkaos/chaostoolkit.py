"""Chaos Toolkit experiments on our clusters: the activities that they call, and a run with the toolkit's own library.

An experiment names this module as its Python provider. Its activities act on the run that is under way, so that what
they do is recorded, proved and healed like any fault of ours; the library writes its journal as `journal.json`.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from kafkaos.errors import SetupFailed, WaitExpired, WrongUse
from kafkaos.faults.catalog import from_json
from kafkaos.planfile import Experiment
from kafkaos.run import Chaos, GuaranteeBroken, VerdictUnknown
from kafkaos.traffic.handles import ProducerHandle

JOURNAL_FILE = "journal.json"
EXPERIMENT_FILE = "experiment.json"


class _Stage:
    """The run on which activities act, and the faults that they have in place."""

    def __init__(self, chaos: Chaos) -> None:
        self.chaos = chaos
        self.in_place: dict[str, contextlib.ExitStack] = {}
        # Activities with `background` run in threads of the library; a run is not for several at once.
        self.lock = threading.RLock()


_current: list[_Stage] = []


def _stage() -> _Stage:
    if not _current:
        raise WrongUse("no run is under way: run this experiment with `kafkaos run FILE.json`")
    return _current[-1]


def inject(fault: Mapping[str, Any], name: str | None = None) -> str:
    """Action: inject a fault given as in a plan (`{"fault": "kill", "target": {…}}`) and leave it in place.

    `name` is for `heal`; without it the fault's own. Returns whom it hit, in words. WrongUse where it does not fit.
    """
    stage, made = _stage(), from_json(fault)
    with stage.lock:
        key = name or made.name
        if key in stage.in_place:
            raise WrongUse(
                f"the fault `{key}` is in place already: heal it first, or give this one another name"
            )
        held = contextlib.ExitStack()
        hit = held.enter_context(stage.chaos.fault(made))
        stage.in_place[key] = held
        return str(hit)


def heal(name: str | None = None) -> list[str]:
    """Action or rollback: heal the fault of this name, or all, the last first; the names of those healed."""
    stage = _stage()
    with stage.lock:
        names = [n for n in reversed(stage.in_place) if name in (None, n)]
        for one in names:
            stage.in_place.pop(one).close()
        return names


def acknowledged() -> int:
    """Probe: acknowledged sends of all producers so far."""
    clients = _stage().chaos.clients.values()
    return sum(client.acknowledged for client in clients if isinstance(client, ProducerHandle))


def goes_on(count: int = 100, timeout_s: float = 60.0) -> bool:
    """Probe: whether every producer gets `count` more acknowledgements, each in turn within `timeout_s` seconds."""
    try:
        for client in _stage().chaos.clients.values():
            if isinstance(client, ProducerHandle) and client.is_running:
                client.wait_acknowledged(count, after=client.mark(), timeout_s=timeout_s)
    except WaitExpired:
        return False
    return True


def is_healthy(timeout_s: float = 60.0) -> bool:
    """Probe: whether every node runs and every partition has its leader and full ISR within `timeout_s` seconds."""
    try:
        _stage().chaos.cluster.wait_healthy(timeout_s=timeout_s)
    except WaitExpired:
        return False
    return True


@contextlib.contextmanager
def _acting_on(chaos: Chaos) -> Iterator[None]:
    stage = _Stage(chaos)
    _current.append(stage)
    try:
        yield
    finally:
        heal()
        _current.remove(stage)


def run_experiment(chaos: Chaos, experiment: Experiment) -> dict[str, Any]:
    """Run it under the traffic that goes on; its journal, kept in the run's folder too.

    Raises WrongUse for an experiment that is not valid, GuaranteeBroken when its steady state did not hold, and
    VerdictUnknown when it did not get through.
    """
    try:
        from chaoslib.exceptions import ChaosException
        from chaoslib.experiment import ensure_experiment_is_valid
        from chaoslib.experiment import run_experiment as run
    except ImportError:
        raise SetupFailed(
            "Chaos Toolkit's library is not installed: pip install 'FOLDER[chaostoolkit]', with kafkaos's own folder"
        ) from None
    try:
        ensure_experiment_is_valid(experiment.given)
    except ChaosException as error:
        raise WrongUse(f"{experiment.path} is no valid experiment: {error}.") from None
    # Kept beside the journal, so that the run can be replayed without the file that it came from.
    (chaos.folder / EXPERIMENT_FILE).write_text(
        json.dumps(experiment.given, indent=1) + "\n", encoding="utf-8"
    )
    with _acting_on(chaos):
        # Rollbacks are what heals: they are due however the method ended.
        journal: dict[str, Any] = run(
            experiment.given, settings={"runtime": {"rollbacks": {"strategy": "always"}}}
        )
    (chaos.folder / JOURNAL_FILE).write_text(
        json.dumps(journal, indent=1, default=str) + "\n", encoding="utf-8"
    )
    _judge(journal)
    return journal


def _judge(journal: Mapping[str, Any]) -> None:
    failed = [run for run in [*journal["run"], *journal["rollbacks"]] if run["status"] != "succeeded"]
    if failed:
        reason = (
            " ".join(map(str, failed[0].get("exception") or ["it gives no reason"])).strip().splitlines()[-1]
        )
        raise VerdictUnknown(f"the activity `{failed[0]['activity']['name']}` failed: {reason}")
    states = journal["steady_states"]
    for when, told in (("before", "before anything was hurt"), ("after", "after the method")):
        state = states.get(when) or {}
        if state.get("steady_state_met") is False:
            probe = next((p for p in state["probes"] if not p.get("tolerance_met")), None)
            saw = f": `{probe['activity']['name']}` saw {probe.get('output')!r}" if probe else ""
            broke = VerdictUnknown if when == "before" else GuaranteeBroken
            raise broke(f"the steady state did not hold {told}{saw}")
    if journal["status"] != "completed":
        raise VerdictUnknown(f"the experiment ended as `{journal['status']}`: {JOURNAL_FILE} tells more")


__all__ = ["acknowledged", "goes_on", "heal", "inject", "is_healthy", "run_experiment"]
