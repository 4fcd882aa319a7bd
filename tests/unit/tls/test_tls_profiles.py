"""Profiles: the shipped ones, and what a person is told about a file that does not fit."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from datetime import timedelta
from pathlib import Path

import pytest

from kafkaos.errors import SetupFailed, WrongUse
from kafkaos.shipped import shipped
from kafkaos.tls.profiles import load_profile, profile_names


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text('title = "Mine"\n' + text)
    return path


def test_every_shipped_profile_loads() -> None:
    """Each file in ssl/ is a valid profile, and those that the documentation names are there."""
    assert {"tls", "mtls", "expired", "wrong-host", "unknown-ca"} <= set(profile_names())
    healthy = {name for name in profile_names() if load_profile(name).healthy}
    assert {"tls", "mtls"} <= healthy
    assert healthy.isdisjoint({"expired", "wrong-host", "unknown-ca"})


def test_an_unknown_profile_is_told_with_its_near_match() -> None:
    """A mistyped name of a profile is wrong use that names the profile meant."""
    with pytest.raises(WrongUse, match=r"no TLS profile `mtsl`; did you mean `mtls`\?"):
        load_profile("mtsl")


def test_an_unknown_key_is_told_with_file_and_near_match(tmp_path: Path) -> None:
    """An unknown key is wrong use that names the file, the key and the key meant."""
    path = write(tmp_path, 'client_aut = "none"\n')
    with pytest.raises(
        WrongUse, match=r"mine\.toml: there is no key `client_aut`; did you mean `client_auth`"
    ):
        load_profile(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('client_auth = "maybe"', "`client_auth` does not fit"),
        ('not_after = "soon"', "`not_after` does not fit: 'soon' is not a time from now"),
        ('not_before = "2d"\nnot_after = "1d"', "`not_before` must lie before `not_after`"),
        ("protocols = []", "`protocols` does not fit"),
        ("client_auth =", "is not TOML"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_its_key(tmp_path: Path, text: str, told: str) -> None:
    """A value that does not fit is wrong use that names the key, or what is broken about the file."""
    with pytest.raises(WrongUse, match=told):
        load_profile(write(tmp_path, text))


def test_a_missing_file_is_wrong_use(tmp_path: Path) -> None:
    """A path to no file is told as such."""
    with pytest.raises(WrongUse, match="no file"):
        load_profile(tmp_path / "nowhere.toml")


def test_times_are_offsets_from_now(tmp_path: Path) -> None:
    """Dates are written as offsets with a unit, so that a profile can end while a cluster runs."""
    profile = load_profile(write(tmp_path, 'not_before = "-1h"\nnot_after = "90s"'))
    assert (profile.not_before, profile.not_after) == (timedelta(hours=-1), timedelta(seconds=90))
    assert profile.healthy


def test_a_mended_profile_keeps_all_but_the_defect() -> None:
    """What brokers use among themselves differs from the profile by the defect alone."""
    broken = load_profile("expired").model_copy(update={"client_auth": "required", "key_type": "rsa"})
    mended = broken.mended()
    assert mended.healthy
    assert (mended.client_auth, mended.key_type) == ("required", "rsa")


def test_a_kind_that_lies_nowhere_is_a_failed_setup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where neither the wheel nor a source tree holds the folder, both places are named."""
    monkeypatch.setattr("kafkaos.shipped._PACKAGE", tmp_path / "harness" / "kafkaos")
    with pytest.raises(SetupFailed, match="folder ssl/ is neither at"):
        shipped("ssl")


def test_the_wheel_s_copy_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An installed package reads the files that came with it."""
    package = tmp_path / "harness" / "kafkaos"
    for folder in (package / "_shipped" / "ssl", tmp_path / "ssl"):
        folder.mkdir(parents=True)
    monkeypatch.setattr("kafkaos.shipped._PACKAGE", package)
    assert shipped("ssl") == package / "_shipped" / "ssl"


def test_the_folder_of_profiles_does_not_shadow_the_standard_library() -> None:
    """`import ssl` in the root of the source tree gives Python's own module."""
    root = shipped("ssl").parent
    assert not (root / "ssl" / "__init__.py").exists()
    done = subprocess.run(
        [sys.executable, "-c", "import ssl; print(ssl.__file__)"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert Path(done.stdout.strip()).is_relative_to(sysconfig.get_path("stdlib"))
