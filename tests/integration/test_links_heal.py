"""kill -9 of the harness while a link is cut: what is left in the kernel is found and removed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from alive import alive
from kafkaos.backends.network import firewall_marker
from kafkaos.backends.ready import wait_until
from kafkaos.links.firewall import reason_why_not

DEADLINE_S = 60

HARNESS = """
import json, sys, time
from pathlib import Path
from kafkaos.backends.process import start_cluster
from kafkaos.backends.processes import Supervisor
from kafkaos.faults import CutClients, HealJournal, World, roles
from kafkaos.spec import ClusterSpec
folder, links = Path(sys.argv[1]), sys.argv[2]
supervisor = Supervisor()
spec = ClusterSpec(name="cut", links=links)
cluster = start_cluster(spec, supervisor=supervisor, log_folder=folder / "logs")
world = World(cluster=cluster, journal=HealJournal(folder / "heal.jsonl"))
fault = CutClients(roles.broker(1))
injection = fault.inject(world)
assert fault.evidence(world, injection) is not None
print(json.dumps({"relay": cluster.links_pid(), "table": cluster.links_table()}), flush=True)
time.sleep(120)
"""


@pytest.mark.parametrize("links", ["relay", "firewall"])
def test_kill_9_of_the_harness_leaves_no_cut_link_after_heal(links: str, tmp_path: Path) -> None:
    """The relay dies with its harness; the kernel's table stays, until heal finds it in the journal and removes it."""
    if links == "firewall" and (reason := reason_why_not()) is not None:
        pytest.skip(reason)
    with subprocess.Popen(
        [sys.executable, "-c", HARNESS, str(tmp_path), links], stdout=subprocess.PIPE
    ) as harness:
        assert harness.stdout is not None
        line = harness.stdout.readline()
        os.kill(harness.pid, signal.SIGKILL)
        started = json.loads(line)
        assert (links == "firewall") is (started["table"] in _tables())
        wait_until(lambda: not alive(started["relay"]), timeout_s=DEADLINE_S, what="the relay is dead")
    command = [str(Path(sys.executable).with_name("kafkaos")), "heal", str(tmp_path), "--json"]
    healed = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=DEADLINE_S).stdout)
    assert len(healed["undone"]) == 1
    assert "cut-clients" in healed["undone"][0]
    if links == "firewall":
        assert "was removed" in healed["undone"][0]
        assert started["table"] not in _tables()
        assert not firewall_marker(int(started["table"].removeprefix("kafkaos-"))).exists()
    again = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=DEADLINE_S).stdout)
    assert again["undone"] == []


def _tables() -> list[str]:
    if reason_why_not() is not None:
        return []
    listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    return [line.split()[-1] for line in listed.splitlines()]
