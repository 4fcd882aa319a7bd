"""kill -9 of the harness while disks are full and log directories fail: nothing stays on the machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from alive import alive
from kafkaos.backends.mounts import remove_folder, unable_to_mount
from kafkaos.backends.ready import wait_until
from kafkaos.backends.warden import mounts_below

DEADLINE_S = 120
HARNESS = """
import json, signal, sys
from pathlib import Path
from kafkaos.backends.process import start_cluster
from kafkaos.backends.processes import Supervisor
from kafkaos.faults import DiskFull, FailLogDir, HealJournal, World
from kafkaos.faults.roles import broker
from kafkaos.spec import ClusterSpec

run = Path(sys.argv[1])
supervisor = Supervisor()
spec = ClusterSpec(name="doomed", log_dirs=2, disk_mb=48)
cluster = start_cluster(spec, supervisor=supervisor, log_folder=run)
world = World(cluster=cluster, journal=HealJournal(run / "heal.jsonl"))
FailLogDir(broker(1), log_dir=1).inject(world)
DiskFull(broker(1), log_dir=0).inject(world)
print(json.dumps({"warden": supervisor.warden_pid, "broker": cluster.pid(1)}), flush=True)
signal.pause()
"""


@pytest.mark.skipif(unable_to_mount() is not None, reason=str(unable_to_mount()))
@pytest.mark.parametrize("victims", ["harness", "warden and harness"])
def test_after_kill_9_and_heal_no_mount_process_or_folder_is_left(
    tmp_path: Path, victims: str, request: pytest.FixtureRequest
) -> None:
    """A full tmpfs and a read-only mount are gone after `kafkaos heal`, also when the warden was killed with it."""
    state, run = tmp_path / "state", tmp_path / "out" / "run-1"
    run.mkdir(parents=True)
    request.addfinalizer(lambda: remove_folder(state))  # whatever fails here, nothing stays mounted
    environment = {**os.environ, "KAFKAOS_STATE": str(state)}
    with subprocess.Popen(
        [sys.executable, "-c", HARNESS, str(run)], env=environment, stdout=subprocess.PIPE, text=True
    ) as harness:
        try:
            assert harness.stdout is not None
            told = json.loads(harness.stdout.readline())
            assert len(mounts_below(str(state))) == 3
            if "warden" in victims:
                os.kill(told["warden"], signal.SIGKILL)
        finally:
            harness.kill()
    for pid in told.values():
        wait_until(lambda pid=pid: not alive(pid), timeout_s=DEADLINE_S, what=f"process {pid} is gone")

    healed = subprocess.run(
        [sys.executable, "-m", "kafkaos", "heal", str(tmp_path / "out"), "--json"],
        env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=True,
    )  # fmt: skip
    sentences = json.loads(healed.stdout)["undone"]
    assert len(sentences) == 2
    if "warden" in victims:
        assert any("was read-only and is writable again" in sentence for sentence in sentences)
        assert any("kafkaos-ballast was removed" in sentence for sentence in sentences)
    assert mounts_below(str(state)) == []
    assert list(state.glob("cluster-*")) == []
