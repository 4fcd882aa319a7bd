"""A plan of one's own is run by `kafkaos run`, kept as explicit as it was drawn, and run again by `kafkaos replay`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

DEADLINE_S = 240
PLAN = {
    "steps": [
        {
            "repeat": {
                "times": 2,
                "node": {
                    "fault": {"fault": "kill-client", "client": "producer"},
                    "trigger": {"after_acknowledged": [50, 400]},
                },
            }
        }
    ]
}


def kafkaos(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kafkaos", *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def the_run(out: Path) -> Path:
    (found,) = (path.parent for path in out.rglob("plan.json"))
    return found


def test_a_replay_runs_the_stored_plan_and_no_other(tmp_path: Path) -> None:
    """Ranges are drawn before the run; a stored plan changed by hand is carried out as changed, on such a cluster."""
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(PLAN))
    settings = ("--cluster", "single", "--security", "tls")
    kafkaos("run", str(file), *settings, "--seed", "5", "--out", str(tmp_path / "first"))
    first = the_run(tmp_path / "first")
    stored = json.loads((first / "plan.json").read_text())
    (serial,) = stored["steps"]
    waits = [step["trigger"]["after_acknowledged"] for step in serial["serial"]]
    assert len(waits) == 2
    assert all(50 <= wait <= 400 for wait in waits)

    serial["serial"][1:] = []
    (first / "plan.json").write_text(json.dumps(stored))
    kafkaos("replay", str(first), "--out", str(tmp_path / "again"))
    again = the_run(tmp_path / "again")
    assert json.loads((again / "plan.json").read_text()) == stored
    events = [json.loads(line) for line in (again / "events.jsonl").read_text().splitlines()]
    assert sum(event["kind"] == "inject" for event in events) == 1
    then, now = (json.loads((run / "recording.json").read_text()) for run in (first, again))
    assert then["cluster"]["security"] == "tls"
    assert (now["seed"], now["cluster"], now["versions"]) == (5, then["cluster"], then["versions"])
