"""Files that only their owner may read, so from the first byte, whatever the umask is."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def private_folder(folder: Path) -> Path:
    """Makes the folder with mode 0700; one that is there already is tightened to it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        folder.chmod(0o700)
    return folder


def write_private(path: Path, data: bytes) -> Path:
    """Writes the file with mode 0600, in one step for readers: they see the old content or the new, whole.

    The mode is given at creation: a chmod afterwards would leave a moment in which anybody can open the file.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return path
