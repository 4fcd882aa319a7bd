"""Where kafkaos keeps things on this machine: the user's cache and the folders of running clusters."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


def cache_folder() -> Path:
    """Downloads and start-up caches, per user: `KAFKAOS_CACHE`, else the XDG cache folder."""
    explicit = os.environ.get("KAFKAOS_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kafkaos"
    folder = Path(explicit) if explicit else base
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def state_folder() -> Path:
    """Data, keys and locks of running clusters; readable by the user only; swept by the next start."""
    explicit = os.environ.get("KAFKAOS_STATE")
    folder = Path(explicit) if explicit else Path(tempfile.gettempdir()) / f"kafkaos-{os.getuid()}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path` between processes; it is freed by the kernel if the holder dies."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def try_lock(path: Path) -> int | None:
    """A file descriptor that holds the lock on `path` until closed, or None when somebody else has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
