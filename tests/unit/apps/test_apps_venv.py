"""Environments of applications: real pip into real venvs, from a wheel in a folder instead of a network."""

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from kafkaos.apps.venv import READY_FILE, environment
from kafkaos.errors import SetupFailed, WrongUse

CALL = """
import sys
from pathlib import Path
from kafkaos.apps.venv import environment
print(environment(Path(sys.argv[1]), progress=lambda text: print(text, file=sys.stderr)))
"""


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder with one small wheel, the only place where pip looks."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("KAFKAOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def wheel(folder: Path, *, answer: int = 42) -> str:
    """The package `tiny` 1.0; returns its SHA-256."""
    info = "tiny-1.0.dist-info"
    files = {
        "tiny.py": f"ANSWER = {answer}\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_digest(text)},{len(text)}\n" for name, text in files.items())
    path = folder / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def pins(folder: Path, digest: str) -> Path:
    path = folder / "shop" / "requirements.txt"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"tiny==1.0 \\\n    --hash=sha256:{digest}\n")
    return path


def test_an_application_gets_its_packages_and_nothing_of_the_harness(tmp_path, index):
    """The environment has what is pinned, not kafkaos, and is made once for one file: later calls tell nothing."""
    requirements = pins(tmp_path, wheel(index))
    told: list[str] = []
    python = environment(requirements, progress=told.append)
    look = (
        "import tiny, importlib.util as u; print(tiny.ANSWER, u.find_spec('kafkaos'), u.find_spec('polars'))"
    )
    seen = subprocess.run([python, "-c", look], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert seen.stdout.split() == ["42", "None", "None"]
    assert told[0] == "making the environment of shop: 1 packages (only once)"
    assert environment(requirements, progress=told.append) == python
    assert len(told) == 2


def test_a_package_that_differs_from_its_hash_is_refused_and_nothing_of_it_is_used_later(tmp_path, index):
    """A wrong hash is SetupFailed with pip's words; what was begun is made anew once the package is the right one."""
    digest = wheel(index)
    requirements = pins(tmp_path, digest)
    wheel(index, answer=13)
    with pytest.raises(
        SetupFailed, match=r"environment shop-\w+ of an application could not be made \(.*"
    ) as told:
        environment(requirements)
    assert (
        "DO NOT MATCH THE HASHES" in str(told.value)
        or "hash" in Path(str(told.value).split()[-1]).read_text()
    )
    wheel(index)
    python = environment(requirements)
    assert subprocess.run([python, "-c", "import tiny; exit(tiny.ANSWER != 42)"], check=False).returncode == 0


def test_a_missing_network_is_told_in_one_sentence_with_the_next_step(tmp_path, index):
    """What no index has is SetupFailed that names network, index and the file of pins."""
    requirements = pins(tmp_path, "0" * 64)
    with pytest.raises(
        SetupFailed, match="the first start needs a network and a package index that has what"
    ):
        environment(requirements)


def test_a_missing_requirements_file_is_wrong_use(tmp_path, index):
    """A path that is no file is the caller's mistake, told with the path."""
    with pytest.raises(WrongUse, match=r"nowhere/requirements\.txt cannot be read"):
        environment(tmp_path / "nowhere" / "requirements.txt")


def test_an_environment_whose_making_was_cut_off_is_made_again_and_once_for_all_who_wait(tmp_path, index):
    """A venv without its last file is thrown away; of two processes that find it so, one makes the new one."""
    requirements = pins(tmp_path, wheel(index))
    python = environment(requirements)
    folder = python.parent.parent
    (folder / READY_FILE).unlink()
    leftover = folder / "leftover"
    leftover.touch()
    calls = [
        subprocess.Popen(
            [sys.executable, "-c", CALL, requirements],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    answers = [call.communicate(timeout=120) for call in calls]
    assert [answer[0].strip() for answer in answers] == [str(python)] * 2
    assert "".join(answer[1] for answer in answers).count("making the environment") == 1
    assert not leftover.exists()
    assert os.access(python, os.X_OK)
