"""The command's exit status when kafkaos itself is at fault."""

from __future__ import annotations

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
