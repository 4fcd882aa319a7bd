"""The command's exit status when kafkaos itself is at fault."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from kafkaos import cli
from kafkaos.errors import EXIT_UNKNOWN


def test_a_mistake_of_our_own_is_not_a_broken_guarantee(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exception that nobody foresaw ends with 2, never with the 1 of a broken guarantee."""

    def crash(*_: object, **__: object) -> int:
        raise RuntimeError("boom")

    monkeypatch.setattr(cli, "app", crash)
    assert cli.execute(["list", "clusters"]) == EXIT_UNKNOWN
    assert "a mistake of kafkaos itself (RuntimeError('boom'))" in capsys.readouterr().err.replace("\n", " ")


CTRL_C_WHILE_IMPORTING = """
import os, signal, sys
class Interrupting:
    def find_spec(self, name, *_):
        if name == "kafkaos.cli":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
from kafkaos.__main__ import main
main()
"""


def test_ctrl_c_while_python_still_imports_is_no_traceback() -> None:
    """A person who stops at once sees nothing but the status of an interrupted command."""
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C_WHILE_IMPORTING, "--version"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGINT, "", "")
