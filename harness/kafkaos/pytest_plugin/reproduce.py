"""The one command that shows a test again, by the tool that ran it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from kafkaos.pytest_plugin.selection import params
from kafkaos.pytest_plugin.session import Session


def reproduce(item: pytest.Item, session: Session) -> str:
    """The same test with the same seed, on the same cluster of the same backend; a replay is replayed again."""
    if session.replay is not None:
        options = _options("--", {**_changes(session, item), "kafka": session.version})
        return f"kafkaos replay {shlex.quote(_from_here(session.replay, item))}{options}"
    if session.by_command:
        name = _from_here(session.plan, item) if session.plan else own_name(item)
        given = {
            "seed": session.seed,
            "cluster": session.cluster or (None if session.bootstrap else _one_of_several(item)),
            **_changes(session, item),
            "kafka": session.version,
        }
        return f"kafkaos run {shlex.quote(name)}{_options('--', given)}"
    where = os.path.relpath(item.config.rootpath, item.config.invocation_params.dir)
    node = item.nodeid if where == "." else f"{where}/{item.nodeid}"
    given = {
        "seed": session.seed,
        "cluster": session.cluster,
        **_changes(session, item),
        "version": session.version,
        "plan": _from_here(session.plan, item) if session.plan else None,
    }
    return f"pytest {shlex.quote(node)}{_options('--kafka-', given)}"


def own_name(item: pytest.Item) -> str:
    """The test's name, without its parameters and `test_`."""
    return str(getattr(item, "originalname", item.name)).removeprefix("test_")


def _from_here(path: Path, item: pytest.Item) -> str:
    """As one types it where the session was started: reports are published, whole paths are somebody's own."""
    here = item.config.invocation_params.dir
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _changes(session: Session, item: pytest.Item) -> dict[str, str | Path | None]:
    """What both tools call the same. A cluster that was there already is named by its address alone."""
    named = session.backend if session.backend == "docker" else None
    return {
        "security": session.security,
        "image": session.image,
        "backend": named,
        "bootstrap": session.bootstrap,
        "client-config": _from_here(session.client_config, item) if session.client_config else None,
        "java-home": session.java_home,
    }


def _one_of_several(item: pytest.Item) -> str | None:
    """The cluster of a test that is marked for several, by name: `kafkaos run` would run it on all of them."""
    marker = item.get_closest_marker("kafka_cluster")
    asked = str(params(item).get("kafka_cluster", ""))
    return asked if marker and len(marker.args) > 1 and not asked.endswith(".toml") else None


def _options(prefix: str, given: dict[str, Any]) -> str:
    return "".join(
        f" {prefix}{name} {shlex.quote(str(value))}" for name, value in given.items() if value is not None
    )
