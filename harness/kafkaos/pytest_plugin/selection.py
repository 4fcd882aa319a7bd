"""Which tests run on which clusters, in which order, and until when."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kafkaos.pytest_plugin.session import SETTINGS
from kafkaos.reporting.results import TIME_IS_UP

if TYPE_CHECKING:
    from kafkaos.spec import ClusterSpec

DEFAULT_CLUSTER = "single"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kafka_cluster" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("kafka_cluster")
    session = metafunc.config.stash[SETTINGS]
    override = session.backend if session.backend == "external" else session.cluster
    names = [override] if override else list(marker.args if marker else ()) or [DEFAULT_CLUSTER]
    metafunc.parametrize("kafka_cluster", names, indirect=True, ids=[Path(name).stem for name in names])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of one cluster follow each other, so that it is started once; otherwise the order stays."""
    items.sort(key=lambda item: str(params(item).get("kafka_cluster", "")))
    session = config.stash[SETTINGS]
    (session.out / TIME_IS_UP).unlink(missing_ok=True)
    if session.resume:
        from kafkaos.reporting.results import NOT_DONE, read

        done = {result.test for result in read(session.out) if result.outcome not in NOT_DONE}
        gone = [item for item in items if item.nodeid in done]
        items[:] = [item for item in items if item.nodeid not in done]
        config.hook.pytest_deselected(items=gone)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Any:
    """Stop before the test that might not be over in time, so that no run is cut off in its middle."""
    session = item.config.stash[SETTINGS]
    began_s = time.time()
    try:
        return (yield)
    finally:
        session.longest_s = max(session.longest_s, time.time() - began_s)
        if session.until_s is not None and nextitem is not None:
            session.time_is_up = time.time() + session.longest_s > session.until_s
            if session.time_is_up:
                item.session.shouldstop = "kafkaos: the time is up"
                session.out.mkdir(parents=True, exist_ok=True)
                left = item.session.items[item.session.items.index(item) + 1 :]
                (session.out / TIME_IS_UP).write_text("".join(f"{one.nodeid}\n" for one in left))


def params(item: pytest.Item) -> dict[str, Any]:
    callspec = getattr(item, "callspec", None)
    return dict(callspec.params) if callspec else {}


def skip_elsewhere(item: pytest.Item, spec: ClusterSpec) -> None:
    """Skip what cannot be told on another cluster than the marked ones, by the marker's `brokers` and `only`."""
    marker = item.get_closest_marker("kafka_cluster")
    if marker is None or params(item).get("kafka_cluster") in marker.args:
        return
    if only := marker.kwargs.get("only"):
        pytest.skip(f"not on {spec.name}: {only} ({', '.join(marker.args)})")
    if spec.brokers < (needed := marker.kwargs.get("brokers", 1)):
        pytest.skip(f"it needs {needed} brokers, and {spec.name} has {spec.brokers}")
