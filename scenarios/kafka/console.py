"""Kafka's own command-line tools, as a person would type them: `kafkaos tool NAME …` with a cluster's settings."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from kafkaos.apps.environment import client_environment

DEADLINE_S = 120


class Console:
    """The tools of one cluster; each call is a JVM of its own."""

    def __init__(self, cluster: Any) -> None:
        # Beside the keys that the settings name, so that they end with them.
        folder = cluster.client_folder / "console"
        self._environment = {**os.environ, **client_environment(cluster, folder=folder)}

    def __call__(self, tool: str, *arguments: str, typed: str = "") -> str:
        """What the tool printed; AssertionError with its last words if it failed."""
        done = subprocess.run(
            [sys.executable, "-m", "kafkaos", "tool", tool, *arguments],
            input=typed,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, (
            f"{tool} ended with {done.returncode}: {done.stderr[-1000:]}{done.stdout[-500:]}"
        )
        return done.stdout
