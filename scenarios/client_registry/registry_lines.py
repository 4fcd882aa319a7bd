"""What the registry and its writer have in common: their settings file, and lines for whoever watches them."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def say(name: str, **fields: Any) -> None:
    """One JSON line on stdout, in the words of Kafka's verifiable clients."""
    line = json.dumps({"timestamp": time.time_ns() / 1_000_000, "name": name, **fields})
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def properties(path: Path) -> dict[str, str]:
    """A properties file: NAME=VALUE a line, # for comments."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def text(data: bytes | None) -> str | None:
    """For a line; what is not UTF-8 is told with replacement characters."""
    return None if data is None else data.decode(errors="replace")
