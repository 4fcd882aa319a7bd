"""The fixtures: a cluster, and `chaos`, the recording of one test."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kafkaos.errors import NotAvailable, WrongUse
from kafkaos.pytest_plugin.outcomes import COURSE
from kafkaos.pytest_plugin.selection import DEFAULT_CLUSTER, skip_elsewhere
from kafkaos.pytest_plugin.session import SETTINGS, Session

if TYPE_CHECKING:
    from kafkaos.backends.start import Running
    from kafkaos.faults import Plan
    from kafkaos.planfile import Experiment
    from kafkaos.run import Chaos
    from kafkaos.spec import ClusterSpec


@pytest.fixture(scope="session")
def kafkaos_session(pytestconfig: pytest.Config) -> Iterator[Session]:
    """The settings of this session and its pool of clusters."""
    session = pytestconfig.stash[SETTINGS]
    yield session
    session.close()


@pytest.fixture
def kafka_cluster_spec(request: pytest.FixtureRequest, kafkaos_session: Session) -> ClusterSpec:
    """The specification of the test's cluster; override it to change a property for your tests."""
    from kafkaos.spec import ClusterSpec, load_spec

    if kafkaos_session.backend == "external":
        return ClusterSpec(name="external")
    name = request.node.callspec.params.get("kafka_cluster", DEFAULT_CLUSTER)
    path = Path(name)
    if path.suffix == ".toml" and not path.is_absolute() and not path.exists():
        path = request.path.parent / name
        name = str(path)
    spec = load_spec(name)
    session = request.config.stash[SETTINGS]
    changed = {"kafka": session.version} if session.version else {}
    if session.security and spec.security == "plain":
        changed["security"] = session.security
    return spec.model_copy(update=changed) if changed else spec


@pytest.fixture
def kafka_cluster(
    request: pytest.FixtureRequest, kafka_cluster_spec: ClusterSpec, kafkaos_session: Session
) -> Iterator[Running]:
    """A running, healthy cluster, empty of other tests' topics; shared with other tests of the same specification."""
    pool = kafkaos_session.pool
    external = kafkaos_session.backend == "external"
    if not external:
        skip_elsewhere(request.node, kafka_cluster_spec)
    try:
        cluster = pool.take(kafka_cluster_spec)
    except NotAvailable as error:
        pytest.skip(str(error))
    try:
        if external:  # how many brokers it has is known now
            skip_elsewhere(request.node, cluster.spec)
        yield cluster
    finally:
        pool.give_back(cluster)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """What the backend that was asked for cannot do at all is skipped with the reason; the default one can do it."""
    try:
        return (yield)
    except NotAvailable as error:
        if pyfuncitem.config.stash[SETTINGS].backend == "process":
            raise
        pytest.skip(str(error))


@pytest.fixture
def kafka_plan(kafkaos_session: Session) -> Plan | Experiment | None:
    """What `--kafka-plan` names: a plan, or a Chaos Toolkit experiment; None without it."""
    from kafkaos.planfile import read_plan_file

    return None if kafkaos_session.plan is None else read_plan_file(kafkaos_session.plan)


@pytest.fixture
def chaos(
    request: pytest.FixtureRequest, kafka_cluster: Running, kafkaos_session: Session
) -> Iterator[Chaos]:
    """A recording of this test: producers, consumers, faults, and the verdict."""
    import allure

    from kafkaos.reporting import results
    from kafkaos.reporting.table import Totals
    from kafkaos.run import Chaos, plan_of

    session = kafkaos_session
    course = request.node.stash[COURSE]
    # Readable, short enough for a file system, and never shared by two tests.
    digest = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:6]
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", request.node.name.removeprefix("test_"))[:80].strip("-")
    folder = session.out / results.RUNS_FOLDER / f"{name}-{digest}"
    replay = None if session.replay is None else plan_of(session.replay)
    if session.replay == folder:
        raise WrongUse(
            f"{folder} is the run to replay, and would be overwritten: give another folder for it."
        )
    # Of a run that was cut off: a recording is never gone on with.
    shutil.rmtree(folder, ignore_errors=True)
    results.begin(session.out)
    run = Chaos(
        kafka_cluster,
        spawner=session.pool.supervisor,
        folder=folder,
        run_id=f"{session.seed}:{request.node.nodeid}",
        seed=session.seed,
        settings={
            **session.settings(),
            "test": request.node.nodeid,
            "file": str(request.path),
            "reproduce": course.reproduce,
            "logs": os.path.relpath(kafka_cluster.log_folder, folder),
        },
        step=allure.step,
        replay=replay,
    )
    course.folder, course.verdicts = folder, run.verdicts
    request.node.user_properties.append(("kafkaos_run", str(folder)))
    try:
        yield run
    finally:
        run.close()
        course.verdicts, course.without_evidence = run.verdicts, bool(run.without_evidence)
        if run.verdicts:
            course.totals = asdict(Totals.of(run.recording, run.verdicts))
            injected = (event.name for event in run.recording.events if event.kind == "inject")
            course.faults = tuple(dict.fromkeys(injected))
