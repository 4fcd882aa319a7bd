"""Images with Kafka: which one a cluster runs on, what it can do, and one that is made here without a registry."""

from __future__ import annotations

import contextlib
import os
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound

from kafkaos.backends import kraft
from kafkaos.backends.docker_engine import told
from kafkaos.backends.docker_rootfs import CACHE, write_rootfs
from kafkaos.backends.jars import Progress
from kafkaos.backends.jvm import Jvm, cache_options
from kafkaos.backends.places import cache_folder, locked, state_folder
from kafkaos.errors import SetupFailed

OWN_REPOSITORY = "kafkaos/kafka"
PUBLISHED_REPOSITORY = "apache/kafka"
RUN_CLASS = "/opt/kafka/bin/kafka-run-class.sh"
CACHE_LABEL = "kafkaos.start-cache"
FORMAT_DEADLINE_S = 120


@dataclass(frozen=True)
class KafkaImage:
    """An image on this machine that has Kafka's scripts."""

    client: docker.DockerClient
    name: str
    id: str
    cache: str | None
    """The path of the start-up cache in it, if it has one that fits its Java and jars."""
    run_class: str = RUN_CLASS

    @property
    def cache_options(self) -> list[str]:
        return [] if self.cache is None else cache_options(self.cache)

    def checkpoint(self) -> Path:
        """The `bootstrap.checkpoint` of its Kafka, made by its own storage tool on first use.

        SetupFailed where the image has no Kafka.
        """
        folder = cache_folder() / "images" / self.id.removeprefix("sha256:")[:24]
        folder.mkdir(parents=True, exist_ok=True)
        made = folder / "bootstrap.checkpoint"
        with locked(folder / "lock"):
            if not made.exists():
                self._format(made)
        return made

    def _format(self, target: Path) -> None:
        with tempfile.TemporaryDirectory(dir=state_folder()) as temporary:
            data = Path(temporary) / "data"
            config = Path(temporary) / "server.properties"
            config.write_text(kraft.FORMAT_PROPERTIES.format(data=data))
            tool = ["kafka.tools.StorageTool", "format", "-t", kraft.new_cluster_id(), "-c", str(config)]
            script = f"exec {RUN_CLASS} {shlex.join(tool)} > {temporary}/told 2>&1"
            with told(f"run Kafka's storage tool in {self.name}"):
                container = self.client.containers.create(
                    self.id,
                    entrypoint=["/bin/sh", "-c", script],
                    user=f"{os.getuid()}:{os.getgid()}",
                    environment={"LOG_DIR": "/tmp", "KAFKA_JMX_OPTS": "-Dkafkaos=1"},
                    volumes={temporary: {"bind": temporary, "mode": "rw"}},
                    network_mode="none",
                )
            try:
                with told(f"run {RUN_CLASS} in {self.name}: is Kafka in that image?"):
                    container.start()
                    status = container.wait(timeout=FORMAT_DEADLINE_S)["StatusCode"]
            finally:
                container.remove(force=True, v=True)
            if status != 0:
                said = (Path(temporary) / "told").read_text(errors="replace").strip().splitlines() or [
                    "nothing"
                ]
                raise SetupFailed(
                    f"the image {self.name} cannot format storage by {RUN_CLASS} ({said[0][:200]}): take an image that "
                    f"has Kafka 4 in /opt/kafka, or make one by `kafkaos image build`"
                )
            pending = target.with_suffix(f".{os.getpid()}")
            pending.write_bytes((data / "bootstrap.checkpoint").read_bytes())
            pending.replace(target)


def find_image(
    client: docker.DockerClient, version: str, wanted: str | None, progress: Progress
) -> KafkaImage:
    """The image that was asked for; else the one made here for this version; else Apache's, pulled if need be.

    SetupFailed, with the way out, where it cannot be had.
    """
    names = [wanted] if wanted else [f"{OWN_REPOSITORY}:{version}", f"{PUBLISHED_REPOSITORY}:{version}"]
    for name in names:
        with contextlib.suppress(ImageNotFound):
            return _told_of(client, client.images.get(name), name)
    name = names[-1]
    progress(f"pulling {name}")
    try:
        return _told_of(client, client.images.pull(*_split(name)), name)
    except DockerException as error:
        reason = str(error)
        if isinstance(error, APIError):
            reason = str(error.explanation)
            # A pull is answered as a stream, which the engine's client leaves open when it is refused.
            if error.response is not None:
                error.response.close()
        raise SetupFailed(
            f"there is no image {name} here and it could not be pulled ({reason[:200]}): make one by "
            "`kafkaos image build`, which needs no registry"
        ) from None


def _split(name: str) -> tuple[str, str]:
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "latest")


def _told_of(client: docker.DockerClient, image: Any, name: str) -> KafkaImage:
    return KafkaImage(client, name, str(image.id), image.labels.get(CACHE_LABEL))


def build_image(client: docker.DockerClient, jvm: Jvm, progress: Progress) -> KafkaImage:
    """Make the image of this Java and these jars, with no registry; one of the same name is replaced."""
    version = jvm.jars.version
    name = f"{OWN_REPOSITORY}:{version}"
    changes = [
        "ENV PATH=/opt/java/bin:/usr/bin:/bin JAVA_HOME=/opt/java",
        *([f"LABEL {CACHE_LABEL}={CACHE}"] if jvm.cache.exists() else []),
        'CMD ["/bin/sh"]',
    ]
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "root.tar"
        progress("collecting Java, Kafka and what they load")
        write_rootfs(root, jvm)
        progress(f"making the image {name} ({root.stat().st_size >> 20} MiB)")
        with told(f"make the image {name}"):
            client.api.import_image_from_file(
                str(root), repository=OWN_REPOSITORY, tag=version, changes=changes
            )
    return find_image(client, version, name, progress)
