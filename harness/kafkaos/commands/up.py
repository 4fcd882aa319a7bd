"""`kafkaos up`: a cluster for as long as a command, or a person, wants it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from kafkaos.commands.options import Image, JavaHome, OwnBackend, check_own_backend
from kafkaos.commands.telling import progress, stderr
from kafkaos.errors import EXIT_UNKNOWN, WrongUse
from kafkaos.reporting.results import check_folder

if TYPE_CHECKING:
    from kafkaos.backends.process import ProcessCluster

LOOK_EVERY_S = 0.2


def up(  # noqa: PLR0917 (typer passes all by keyword)
    context: typer.Context,
    cluster: Annotated[
        str, typer.Argument(help="A shipped cluster, or the path of a cluster file (.toml).")
    ] = "single",
    backend: OwnBackend = "process",
    java_home: JavaHome = None,
    image: Image = None,
    logs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the brokers' logs in this folder.")
    ] = None,
) -> int:
    """Start a cluster: kafkaos up [CLUSTER] [-- COMMAND…].

    COMMAND gets it by environment (KAFKAOS_BOOTSTRAP, KAFKAOS_CLIENT_CONFIG, KAFKAOS_JAVA_CONFIG,
    KAFKAOS_CLUSTER) and its exit status becomes ours. Without one the cluster stays until Ctrl-C.
    A topic is made when it is first written to, unless the cluster file sets auto.create.topics.enable.
    """
    from kafkaos.apps.environment import client_environment
    from kafkaos.backends.processes import Supervisor
    from kafkaos.backends.start import Setup, start_own, sweep
    from kafkaos.spec import load_spec

    command: list[str] | None = context.obj
    if command is not None:
        _check_command(command)
    setup = Setup(check_own_backend(backend, "up"), java_home=java_home, image=image)
    spec = load_spec(cluster)
    # As Kafka's own default is, so that any client can write at once: here is no scenario that a mistyped topic breaks.
    properties = {"auto.create.topics.enable": True, **spec.properties}
    spec = spec.model_copy(update={"properties": properties})
    if logs is not None:
        check_folder(logs)
    log_folder = logs.absolute() if logs else Path(tempfile.mkdtemp(prefix=f"kafkaos-up-{spec.name}-"))
    supervisor = Supervisor()
    try:
        with progress() as tell:
            sweep(setup)
            running = start_own(
                spec, setup=setup, supervisor=supervisor, log_folder=log_folder, progress=tell
            )
        try:
            # Beside the keys that they name, so that they end with them.
            environment = client_environment(running, folder=running.client_folder)
            if command is not None:
                status = _run(command, environment)
            else:
                _tell_how(environment, spec.name, log_folder)
                status = _stay(running)
        finally:
            running.close()
    finally:
        supervisor.close()
        if logs is None:  # a start that was refused has no logs, and leaves no folder for them
            with contextlib.suppress(OSError):
                log_folder.rmdir()
    if logs is None and status != EXIT_UNKNOWN:
        shutil.rmtree(log_folder, ignore_errors=True)
    return status


def _check_command(command: list[str]) -> None:
    if not command:
        raise WrongUse(
            "There is no command after `--`: name one, or leave `--` out to keep the cluster until Ctrl-C."
        )
    if shutil.which(command[0]) is None:
        raise WrongUse(f"The command `{command[0]}` is not found: give its path, or install it.")


def _run(command: list[str], environment: dict[str, str]) -> int:
    """The command in the foreground; signals to us are the command's to answer, the cluster ends after it."""
    from kafkaos.apps import bound

    wrapped = [sys.executable, "-I", "-S", bound.__file__, str(os.getpid()), *command]
    process = subprocess.Popen(wrapped, env={**os.environ, **environment})

    def pass_on(number: int, _: FrameType | None) -> None:
        # A Ctrl-C in the terminal has reached the command already.
        if number != signal.SIGINT or not sys.stdin.isatty():
            process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 - status if status < 0 else status


def _stay(cluster: ProcessCluster) -> int:
    """Until a signal comes, or a node ends by itself."""
    while True:
        for node in cluster.nodes:
            if not cluster.is_running(node.id):
                log = cluster.log_path(node.id)
                stderr.print(f"kafkaos: {node.name} ended by itself; its log: {log}", markup=False)
                return EXIT_UNKNOWN
        time.sleep(LOOK_EVERY_S)


def _tell_how(environment: dict[str, str], name: str, logs: Path) -> None:
    client, java = environment["KAFKAOS_CLIENT_CONFIG"], environment["KAFKAOS_JAVA_CONFIG"]
    lines = [
        f"Cluster {name} is ready at {environment['KAFKAOS_BOOTSTRAP']}; Ctrl-C ends it.",
        "",
        "In another terminal:",
        *(f"  export {key}={value}" for key, value in environment.items()),
        "",
        "kcat:",
        f"  kcat -F {client} -L",
        "Kafka's own tools, from any Kafka distribution or from here:",
        f"  kafka-topics.sh --bootstrap-server {environment['KAFKAOS_BOOTSTRAP']} --command-config {java} --list",
        "  kafkaos tool topics --create --topic orders",
        "Python:",
        "  from confluent_kafka import Producer",
        f"  config = dict(line.strip().split('=', 1) for line in open({client!r}))",
        "  producer = Producer(config)",
        "",
        f"Brokers' logs: {logs}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
