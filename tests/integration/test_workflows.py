"""The workflows of GitHub: valid, and made of nothing that a machine without GitHub cannot do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_the_workflows_pass_actionlint_and_a_broken_one_does_not(tmp_path: Path) -> None:
    """By the Makefile's own target; a job that waits for one that is not there is refused."""
    done = subprocess.run(
        ["make", "lint-workflows"], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (linter,) = (ROOT / "build" / "tools").glob("actionlint-*")
    broken = tmp_path / "broken.yml"
    broken.write_text(
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    needs: nobody\n    steps: [{run: make}]\n"
    )
    refused = subprocess.run([linter, str(broken)], capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1
    assert "nobody" in refused.stdout


def test_every_command_of_the_workflows_is_a_target_of_the_makefile() -> None:
    """What a workflow runs can be run on any machine by the same name."""
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    commands = [
        command.strip()
        for path in WORKFLOWS
        for command in re.findall(r"\brun: (.*)$", path.read_text(), re.MULTILINE)
    ]
    assert len(commands) >= 8
    for command in commands:
        found = re.fullmatch(r'make (?:--silent )?([\w-]+)(?: >> "\$GITHUB_STEP_SUMMARY")?', command)
        assert found, command
        assert found[1] in targets
