"""Whether a process of a test still runs."""

from __future__ import annotations

import psutil


def alive(pid: int) -> bool:
    """False also for one that ended and was not waited for, and for one that ends while it is looked at."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
