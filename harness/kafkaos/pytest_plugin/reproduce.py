"""The one command that shows a test again."""

from __future__ import annotations

import os
import shlex

import pytest

from kafkaos.pytest_plugin.selection import params
from kafkaos.pytest_plugin.session import Session


def reproduce(item: pytest.Item, session: Session) -> str:
    """The one command that shows the test again, by the tool that ran it."""
    seed = f"{session.seed}"
    backend = "" if session.backend == "process" else f"backend {shlex.quote(session.backend)}"
    java = f"java-home {shlex.quote(session.java_home)}" if session.java_home else ""
    changes = [f"security {session.security}" if session.security else ""]
    if session.image:
        changes.append(f"image {shlex.quote(session.image)}")
    if session.version:
        changes.append(f"{'kafka' if session.by_command else 'version'} {session.version}")
    cluster = session.cluster
    if session.replay is not None:
        return f"kafkaos replay {shlex.quote(str(session.replay))}"
    if session.by_command:
        name = (
            str(session.plan)
            if session.plan
            else getattr(item, "originalname", item.name).removeprefix("test_")
        )
        marker = item.get_closest_marker("kafka_cluster")
        asked = str(params(item).get("kafka_cluster", ""))
        if not cluster and marker and len(marker.args) > 1 and not asked.endswith(".toml"):
            cluster = asked
        words = [
            f"seed {seed}",
            f"cluster {shlex.quote(cluster)}" if cluster else "",
            *changes,
            backend,
            java,
        ]
        return f"kafkaos run {name}" + "".join(f" --{word}" for word in words if word)
    where = os.path.relpath(item.config.rootpath, item.config.invocation_params.dir)
    node = item.nodeid if where == "." else f"{where}/{item.nodeid}"
    words = [f"seed {seed}", f"cluster {shlex.quote(cluster)}" if cluster else "", *changes, backend, java]
    return f"pytest {shlex.quote(node)}" + "".join(f" --kafka-{word}" for word in words if word)
