"""An application's own Python environment: made once from hashed requirements, kept in the user's cache.

An application under test has dependencies that nobody who only wants the pytest plugin should install, and that may
contradict the harness' own. So it runs in a venv of its own, which knows nothing of kafkaos: it speaks the line
contract and needs no import of ours.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from kafkaos.backends.places import cache_folder, locked
from kafkaos.errors import SetupFailed, WrongUse

MAKE_DEADLINE_S = 900.0
READY_FILE = "kafkaos-ready.json"
LOG_FILE = "kafkaos-make.log"

Progress = Callable[[str], None]


def environment(requirements: Path, *, progress: Progress = lambda _: None) -> Path:
    """The Python executable of a venv that has exactly what `requirements` pins by hash.

    It is made on first use, by one process while others wait, and again when the file or this Python changes. A venv
    whose making did not come to its end is never used. Raises WrongUse without the file, SetupFailed when a package
    cannot be had (no network, wrong hash) or this Python cannot make a venv.
    """
    try:
        wanted = requirements.read_bytes()
    except OSError as error:
        raise WrongUse(
            f"the requirements {requirements} cannot be read ({error.strerror}): name the file"
        ) from None
    name = f"{requirements.resolve().parent.name}-{_key(wanted)}"
    apps = cache_folder() / "apps"
    apps.mkdir(exist_ok=True)
    folder = apps / name
    if not _is_ready(folder):
        with locked(apps / f"{name}.lock"):
            if not _is_ready(folder):
                _make(folder, requirements, wanted, progress)
    return _python(folder)


def _key(wanted: bytes) -> str:
    """A venv belongs to the Python that made it: one of another version, or elsewhere, makes its own."""
    python = f"{sys.version}\n{sys.base_prefix}\n".encode()
    return hashlib.sha256(python + wanted).hexdigest()[:16]


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _is_ready(folder: Path) -> bool:
    """Its last file is there, and the Python that it links to was not removed since."""
    return (folder / READY_FILE).exists() and os.access(_python(folder), os.X_OK)


def _make(folder: Path, requirements: Path, wanted: bytes, progress: Progress) -> None:
    progress(f"making the environment of {requirements.parent.name}: {_count(wanted)} packages (only once)")
    shutil.rmtree(folder, ignore_errors=True)  # what is left of one that was not finished
    folder.mkdir(parents=True)
    # The bytes that the key was made of: the file may be edited meanwhile.
    pins = folder / "requirements.txt"
    pins.write_bytes(wanted)
    venv: list[str | Path] = [sys.executable, "-I", "-m", "venv"]
    pip: list[str | Path] = [_python(folder), "-I", "-m", "pip"]
    if importlib.util.find_spec("pip"):
        # Ours installs into the new one: unpacking a second pip takes longer than most applications' packages.
        venv = [*venv, "--without-pip"]
        pip = [sys.executable, "-I", "-m", "pip", "--python", _python(folder)]
    _call([*venv, folder], folder, "give this Python its venv module (Debian, Ubuntu: python3-venv)")
    _call(
        [
            *pip,
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            "--require-hashes",
            "-r",
            pins,
        ],
        folder,
        f"the first start needs a network and a package index that has what {requirements} pins",
    )
    # Written last and under its name at once: the sign that everything before it was done.
    draft = folder / f"{READY_FILE}.tmp"
    draft.write_text(json.dumps({"requirements": str(requirements), "python": sys.version}, indent=1))
    draft.replace(folder / READY_FILE)
    progress(f"the environment of {requirements.parent.name} is ready")


def _count(wanted: bytes) -> int:
    return sum(b"==" in line for line in wanted.splitlines())


def _call(command: list[str | Path], folder: Path, advice: str) -> None:
    log = folder / LOG_FILE
    with log.open("ab") as output:
        try:
            status = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=MAKE_DEADLINE_S,
                check=False,
            ).returncode
            reason = "" if status == 0 else _reason(log, status)
        except subprocess.TimeoutExpired:
            reason = f"not done after {MAKE_DEADLINE_S:.0f} s"
        except OSError as error:
            reason = str(error)
    if reason:
        raise SetupFailed(
            f"the environment {folder.name} of an application could not be made ({reason}): {advice}; "
            f"all that was said is in {log}"
        )


def _reason(log: Path, status: int) -> str:
    lines = log.read_text(errors="replace").splitlines()
    errors = (
        [line for line in lines if line.lower().startswith("error")] or lines or [f"exit status {status}"]
    )
    return errors[-1].strip()[:200]
