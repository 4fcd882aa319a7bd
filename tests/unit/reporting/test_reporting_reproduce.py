"""The command that shows a test again: it names all that the test's course depends on, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TEST = """
import pytest

@pytest.mark.kafka_cluster("single", "three")
def test_orders(kafka_cluster):
    pass
"""
TELLS = """
from dataclasses import replace
from pathlib import Path
from kafkaos.pytest_plugin.reproduce import reproduce
from kafkaos.pytest_plugin.session import SETTINGS

CHANGED = [
    {"seed": 0},
    {"cluster": "three", "backend": "docker", "image": "my/kafka", "security": "mtls", "version": "4.2.0",
     "plan": Path("/my plans/a.json")},
    {"backend": "external", "bootstrap": "127.0.0.1:9092", "client_config": Path("my.properties")},
    {"by_command": True, "version": "4.2.0", "java_home": "/my java"},
    {"by_command": True, "backend": "external", "bootstrap": "127.0.0.1:9092"},
    {"by_command": True, "plan": Path.cwd() / "plans" / "a.json"},
    {"cluster": "single", "replay": Path("/out/runs/orders")},
    {"replay": Path("/out/runs/orders"), "security": "mtls", "version": "4.2.0"},
]

def pytest_collection_finish(session):
    for changed in CHANGED:
        print("TOLD", reproduce(session.items[-1], replace(session.config.stash[SETTINGS], **changed)))
"""


def test_the_command_names_what_the_test_depends_on(tmp_path: Path) -> None:
    """Seed, cluster, changes and backend in the options of the tool that ran it; a foreign cluster by its address,
    and what is below the folder that one is in by the path from there."""
    (tmp_path / "conftest.py").write_text(TELLS)
    (tmp_path / "test_mine.py").write_text(TEST)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-qs",
        "--collect-only",
        "--kafka-seed=7",
    ]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    told = [line.removeprefix("TOLD ") for line in result.stdout.splitlines() if line.startswith("TOLD ")]
    test = "pytest 'test_mine.py::test_orders[three]'"
    assert told == [
        f"{test} --kafka-seed 0",
        f"{test} --kafka-seed 7 --kafka-cluster three --kafka-security mtls --kafka-image my/kafka "
        "--kafka-backend docker --kafka-version 4.2.0 --kafka-plan '/my plans/a.json'",
        f"{test} --kafka-seed 7 --kafka-bootstrap 127.0.0.1:9092 --kafka-client-config my.properties",
        "kafkaos run orders --seed 7 --cluster three --java-home '/my java' --kafka 4.2.0",
        "kafkaos run orders --seed 7 --bootstrap 127.0.0.1:9092",
        "kafkaos run plans/a.json --seed 7 --cluster three",
        "kafkaos replay /out/runs/orders",
        "kafkaos replay /out/runs/orders --security mtls --kafka 4.2.0",
    ], result.stdout + result.stderr
