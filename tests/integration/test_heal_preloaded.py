"""kill -9 of the harness while a broker runs with a library of ours (clock, slow disk): nothing of it stays."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from alive import alive
from kafkaos.backends.ready import wait_until
from kafkaos.faults import catalog
from kafkaos.faults.base import Fault
from kafkaos.faults.clock import SHARED_FOLDER, ClockJump, ClockSkew
from kafkaos.faults.clock import library as clock_library
from kafkaos.faults.roles import broker
from kafkaos.faults.slow_disk import SlowDisk

DEADLINE_S = 120
HARNESS = """
import json, signal, sys
from pathlib import Path
from kafkaos.backends.process import start_cluster
from kafkaos.backends.processes import Supervisor
from kafkaos.faults import HealJournal, World, catalog
from kafkaos.spec import ClusterSpec

run = Path(sys.argv[1])
cluster = start_cluster(ClusterSpec(name="doomed"), supervisor=Supervisor(), log_folder=run)
world = World(cluster=cluster, journal=HealJournal(run / "heal.jsonl"))
fault = catalog.from_json(json.loads(sys.argv[2]))
assert fault.evidence(world, fault.inject(world)) is not None
print(cluster.pid(1), flush=True)
signal.pause()
"""
FAULTS = (ClockJump(broker(1)), ClockSkew(broker(1)), SlowDisk(broker(1), per_write_ms=1.0))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_after_kill_9_and_heal_nothing_of_a_preloaded_library_is_left(tmp_path: Path, fault: Fault) -> None:
    """No process has the library or its settings, no file of it stays, and a second heal has nothing to do."""
    if shutil.which("cc") is None if isinstance(fault, SlowDisk) else clock_library() is None:
        pytest.skip(f"this machine has no library for {fault.name}: kafkaos doctor tells more")
    state, run = tmp_path / "state", tmp_path / "out" / "run-1"
    run.mkdir(parents=True)
    environment = {**os.environ, "KAFKAOS_STATE": str(state)}
    command = [sys.executable, "-c", HARNESS, str(run), json.dumps(catalog.to_json(fault))]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as harness:
        try:
            assert harness.stdout is not None
            victim = int(harness.stdout.readline())
            assert _preloaded(run) == [victim]
            assert list(run.glob("*-of-node-1"))
        finally:
            harness.kill()
    wait_until(lambda: not alive(victim), timeout_s=DEADLINE_S, what="the broker is gone")

    healed = _heal(tmp_path / "out", environment)
    assert len(healed) == 1
    assert "which ended with its run" in healed[0]
    assert _preloaded(run) == []
    assert list(run.glob("*-of-node-*")) == []
    assert list(SHARED_FOLDER.glob(f"*_{victim}")) == []
    assert list(state.glob("cluster-*")) == []
    assert _heal(tmp_path / "out", environment) == []


def _heal(folder: Path, environment: dict[str, str]) -> list[str]:
    """What `kafkaos heal` says that it undid."""
    done = subprocess.run(
        [sys.executable, "-m", "kafkaos", "heal", str(folder), "--json"],
        env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=True,
    )  # fmt: skip
    undone: list[str] = json.loads(done.stdout)["undone"]
    return undone


def _preloaded(run: Path) -> list[int]:
    """The processes that were started with a library which is steered by a file of this run."""
    found = []
    for process in psutil.process_iter():
        try:
            variables = process.environ()
        except psutil.Error:  # it ended, or is somebody else's
            continue
        if "LD_PRELOAD" in variables and any(value.startswith(str(run)) for value in variables.values()):
            found.append(process.pid)
    return found
