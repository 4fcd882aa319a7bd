"""What the commands say: results on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 120

stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def stdout() -> Console:
    """The console for results; a pipe gets lines that are wide enough for tables."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=WIDTH_WITHOUT_TERMINAL)


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A function that tells what is going on: one changing line in a terminal, else one line a message."""
    if not stderr.is_terminal:
        yield lambda message: stderr.print(f"kafkaos: {message}", markup=False)
        return
    with stderr.status("kafkaos: starting") as status:
        yield lambda message: status.update(f"kafkaos: {message}")
