"""Images with Kafka: which one a cluster runs on, what it can do, and one that is made here without a registry."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container

from kafkaos.backends import kraft
from kafkaos.backends.docker_engine import engine, labels, told
from kafkaos.backends.docker_rootfs import CACHE, write_rootfs
from kafkaos.backends.jars import Progress
from kafkaos.backends.jvm import Jvm, cache_options, class_archive_options
from kafkaos.backends.places import cache_folder, locked, state_folder
from kafkaos.backends.process import ready_jvm
from kafkaos.backends.processes import Supervisor
from kafkaos.errors import SetupFailed
from kafkaos.spec import DEFAULT_KAFKA_VERSION

OWN_REPOSITORY = "kafkaos/kafka"
PUBLISHED_REPOSITORY = "apache/kafka"
RUN_CLASS = "/opt/kafka/bin/kafka-run-class.sh"
CACHE_LABEL = "kafkaos.start-cache"
PUBLISHED_ARCHIVE = "/opt/kafka/kafka.jsa"
"""Where Apache's images have a class-data archive."""
FORMAT_FOLDER = "/tmp/kafkaos"
FORMAT_DEADLINE_S = 120


@dataclass(frozen=True)
class KafkaImage:
    """An image on this machine that has Kafka's scripts."""

    client: docker.DockerClient
    name: str
    id: str
    version: str
    """Of Kafka, as it was asked for."""
    cache: str | None
    """The path of the start-up cache in it, if it has one that fits its Java and jars."""
    run_class: str = RUN_CLASS

    @property
    def is_own(self) -> bool:
        """Whether it was made here, of what runs on this machine."""
        return self.name.startswith(f"{OWN_REPOSITORY}:")

    @property
    def cache_options(self) -> list[str]:
        return class_archive_options(PUBLISHED_ARCHIVE) if self.cache is None else cache_options(self.cache)

    def checkpoint(self) -> Path:
        """The `bootstrap.checkpoint` of its Kafka, made by its own storage tool on first use.

        SetupFailed where the image has no Kafka.
        """
        short = self.id.removeprefix("sha256:")[:24]
        folder = cache_folder() / "images" / short
        folder.mkdir(parents=True, exist_ok=True)
        made = folder / "bootstrap.checkpoint"
        lock = state_folder() / f"image-{short}.lock"
        with locked(lock):
            if not made.exists():
                pending = made.with_suffix(f".{os.getpid()}")
                pending.write_bytes(self._format(lock))
                pending.replace(made)
        return made

    def _format(self, lock: Path) -> bytes:
        """What its storage tool writes, in a container that shares nothing with this machine."""
        properties = kraft.FORMAT_PROPERTIES.format(data=f"{FORMAT_FOLDER}/data")
        tool = [
            "kafka.tools.StorageTool",
            "format",
            "-t",
            kraft.new_cluster_id(),
            "-c",
            f"{FORMAT_FOLDER}/config",
        ]
        script = (
            f"mkdir {FORMAT_FOLDER} && printf %s {shlex.quote(properties)} > {FORMAT_FOLDER}/config && "
            f"exec {RUN_CLASS} {shlex.join(tool)} > {FORMAT_FOLDER}/told 2>&1"
        )
        with told(f"run Kafka's storage tool in {self.name}"):
            container = self.client.containers.create(
                self.id,
                entrypoint=["/bin/sh", "-c", script],
                user=f"{os.getuid()}:{os.getgid()}",
                environment={"LOG_DIR": "/tmp", "KAFKA_JMX_OPTS": "-Dkafkaos=1"},
                network_mode="none",
                labels=labels(lock),
            )
        try:
            with told(f"run {RUN_CLASS} in {self.name}: is Kafka in that image?"):
                container.start()
                status = container.wait(timeout=FORMAT_DEADLINE_S)["StatusCode"]
            if status == 0:
                return _file_in(container, f"{FORMAT_FOLDER}/data/bootstrap.checkpoint")
            said = _file_in(container, f"{FORMAT_FOLDER}/told").decode(errors="replace").strip() or "nothing"
        finally:
            container.remove(force=True, v=True)
        raise SetupFailed(
            f"the image {self.name} cannot format storage by {RUN_CLASS} ({said.splitlines()[0][:200]}): take an "
            "image that has Kafka 4 in /opt/kafka, or make one by `kafkaos image build`"
        )


def _file_in(container: Container, path: str) -> bytes:
    """A file of a container, running or not; nothing where there is none."""
    try:
        chunks, _ = container.get_archive(path)
    except NotFound:
        return b""
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        content = tar.extractfile(tar.getmembers()[0])
        assert content is not None, path
        return content.read()


def image_for(
    client: docker.DockerClient,
    version: str,
    wanted: str | None,
    *,
    supervisor: Supervisor,
    log_folder: Path,
    progress: Progress = lambda _: None,
) -> KafkaImage:
    """As `find_image`; of a version that only a cluster file or a fault names, it is made here where it is not.

    The process backend fetches such a version unasked as well.
    """
    try:
        return find_image(client, version, wanted, progress)
    except SetupFailed:
        if wanted is not None or version == DEFAULT_KAFKA_VERSION:
            raise
    jvm = ready_jvm(version, java_home=None, supervisor=supervisor, log_folder=log_folder, progress=progress)
    return build_image(client, jvm, progress)


def has_image() -> bool:
    """Whether this machine has an image for the default Kafka; SetupFailed without an engine."""
    client = engine()
    try:
        names = {tag for image in client.images.list() for tag in image.tags}
    finally:
        client.close()
    return not names.isdisjoint(_names(DEFAULT_KAFKA_VERSION))


def _names(version: str) -> list[str]:
    """Of the images with this Kafka, the one made here first."""
    return [f"{OWN_REPOSITORY}:{version}", f"{PUBLISHED_REPOSITORY}:{version}"]


def find_image(
    client: docker.DockerClient, version: str, wanted: str | None, progress: Progress
) -> KafkaImage:
    """The image that was asked for; else the one made here for this version; else Apache's, pulled if need be.

    SetupFailed, with the way out, where it cannot be had.
    """
    names = [wanted] if wanted else _names(version)
    for name in names:
        with contextlib.suppress(ImageNotFound):
            return _told_of(client, client.images.get(name), name, version)
    name = names[-1]
    progress(f"pulling {name}")
    try:
        return _told_of(client, client.images.pull(*_split(name)), name, version)
    except DockerException as error:
        reason = str(error)
        if isinstance(error, APIError):
            reason = str(error.explanation)
            # A pull is answered as a stream, which the engine's client leaves open when it is refused.
            if error.response is not None:
                error.response.close()
        other = "" if version == DEFAULT_KAFKA_VERSION else f" --kafka {version}"
        raise SetupFailed(
            f"there is no image {name} here and it could not be pulled ({reason[:200]}): make one by "
            f"`kafkaos image build{other}`, which needs no registry"
        ) from None


def _split(name: str) -> tuple[str, str]:
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "latest")


def _told_of(client: docker.DockerClient, image: Any, name: str, version: str) -> KafkaImage:
    return KafkaImage(client, name, str(image.id), version, image.labels.get(CACHE_LABEL) or None)


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
