"""Small file systems and read-only folders, for faults of storage: mounts, which the kernel reserves for root."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from kafkaos.backends.warden import detach_below, mount_table
from kafkaos.errors import SetupFailed

_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_PRIVATE, _MS_SHARED = 1, 32, 4096, 1 << 18, 1 << 20


@cache
def unable_to_mount() -> str | None:
    """None where this process may mount, else the reason in words. It tries, once."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            _mount("tmpfs", Path(folder), "tmpfs", 0, "size=64k")
        except OSError as error:
            return (
                f"a small file system cannot be mounted here ({os.strerror(error.errno or 0)}): it needs root"
            )
        except AttributeError:
            return "nothing can be mounted here: it needs Linux"
        detach_below(folder)
    return None


def small_disk(folder: Path, *, size_mb: int) -> None:
    """A file system of this size at a folder, which is made; SetupFailed without the right to mount."""
    reason = unable_to_mount()
    if reason is not None:
        raise SetupFailed(f"disk_mb = {size_mb} is not possible: {reason}, or leave disk_mb out")
    folder.mkdir(parents=True)
    _mount("kafkaos", folder, "tmpfs", 0, f"size={size_mb}m,mode=0700")


def share(folder: Path) -> None:
    """What is mounted below a folder from now on is seen in containers too, not only what they started with."""
    _mount(str(folder), folder, None, _MS_BIND, None)
    _mount("none", folder, None, _MS_SHARED, None)


def make_read_only(folder: Path) -> None:
    """Nothing can be created or opened for writing in the folder; files that are open stay writable.

    By a read-only mount of the folder on itself, which holds for root as well; an ordinary user, whom file
    modes bind, takes the right to write away.
    """
    if unable_to_mount() is None:
        # Read-only before it gets to its place: containers are given mounts, and not what becomes of them.
        with tempfile.TemporaryDirectory() as aside:
            _mount(str(folder), Path(aside), None, _MS_BIND, None)
            try:
                _mount("none", Path(aside), None, _MS_PRIVATE, None)
                _mount(aside, Path(aside), None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY, None)
                _mount(aside, folder, None, _MS_BIND, None)
            finally:
                detach_one(Path(aside))
    else:
        folder.chmod(0o500)


def make_writable(folder: Path) -> bool:
    """Undo `make_read_only`; False where there was nothing to undo."""
    if any(path == str(folder) and "ro" in options for path, options in mount_table()):
        detach_one(folder)
        return True
    if folder.exists() and not folder.stat().st_mode & 0o200:
        folder.chmod(0o700)
        return True
    return False


def detach_one(folder: Path) -> None:
    """Unmount what was mounted last at a folder."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(os.fsencode(folder), 2) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), str(folder))


def remove_folder(folder: Path) -> None:
    """Unmount what is mounted below a folder and remove it; a folder that is not there is fine."""
    detach_below(str(folder))
    shutil.rmtree(folder, ignore_errors=True)


def _mount(source: str, target: Path, kind: str | None, flags: int, options: str | None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.mount(
        source.encode(),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        None if options is None else options.encode(),
    )
    if done != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), str(target))
