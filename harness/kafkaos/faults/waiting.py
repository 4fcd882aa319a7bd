"""Waiting for what is to be seen, with a deadline; nothing seen is an answer too."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_EVERY_S = 0.05


def until(look: Callable[[], T | None], *, timeout_s: float) -> T | None:
    """What `look` finds first, or None after `timeout_s` seconds. It looks once even with no time left."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        found = look()
        if found is not None or time.monotonic() >= deadline_s:
            return found
        time.sleep(LOOK_EVERY_S)
