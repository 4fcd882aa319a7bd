"""`kafkaos image build`: an image for the Docker backend, made on this machine."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from kafkaos.commands.options import JavaHome
from kafkaos.commands.telling import progress, stdout
from kafkaos.errors import EXIT_HELD
from kafkaos.spec import DEFAULT_KAFKA_VERSION

app = typer.Typer(help="Images for the Docker backend.")


@app.callback()
def image() -> None:
    """Images for the Docker backend."""


@app.command()
def build(
    kafka: Annotated[str, typer.Option(metavar="VERSION", help="Kafka's version.")] = DEFAULT_KAFKA_VERSION,
    java_home: JavaHome = None,
) -> int:
    """Make kafkaos/kafka:VERSION of the jars and the Java that the process backend uses; no registry is needed."""
    from kafkaos.backends.docker_engine import engine
    from kafkaos.backends.docker_image import build_image
    from kafkaos.backends.process import ready_jvm
    from kafkaos.backends.processes import Supervisor

    client = engine()
    supervisor = Supervisor()
    try:
        with progress() as tell, tempfile.TemporaryDirectory(prefix="kafkaos-image-") as logs:
            jvm = ready_jvm(
                kafka, java_home=java_home, supervisor=supervisor, log_folder=Path(logs), progress=tell
            )
            made = build_image(client, jvm, tell)
    finally:
        supervisor.close()
        client.close()
    stdout().print(f"{made.name} is ready: kafkaos run --backend docker", highlight=False)
    return EXIT_HELD
