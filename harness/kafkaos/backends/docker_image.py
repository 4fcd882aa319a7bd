"""Images with Kafka: which one a cluster runs on, what it can do, and one that is made here without a registry."""

from __future__ import annotations

import contextlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound

from kafkaos.backends.docker_engine import engine, told
from kafkaos.backends.docker_format import checkpoint
from kafkaos.backends.docker_rootfs import CACHE, write_rootfs
from kafkaos.backends.jars import Progress
from kafkaos.backends.jvm import Jvm, cache_options
from kafkaos.backends.process import ready_jvm
from kafkaos.backends.processes import Supervisor
from kafkaos.errors import SetupFailed
from kafkaos.spec import DEFAULT_KAFKA_VERSION

OWN_REPOSITORY = "kafkaos/kafka"
PUBLISHED_REPOSITORY = "apache/kafka"
CACHE_LABEL = "kafkaos.start-cache"


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

    @property
    def is_own(self) -> bool:
        """Whether it was made here, of what runs on this machine."""
        return self.name.startswith(f"{OWN_REPOSITORY}:")

    def checkpoint(self) -> Path:
        """The `bootstrap.checkpoint` of its Kafka, made on first use; SetupFailed where it has none."""
        return checkpoint(self.client, self.id, self.name)

    @property
    def cache_options(self) -> list[str]:
        return [] if self.cache is None else cache_options(self.cache)


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
        with told(f"look for the image {name}"), contextlib.suppress(ImageNotFound):
            return _told_of(client, client.images.get(name), name, version)
    name = names[-1]
    progress(f"pulling {name}")
    try:
        return _told_of(client, client.images.pull(*_split(name)), name, version)
    except (DockerException, OSError) as error:
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
    """The repository, and the tag or digest."""
    if "@" in name:
        return name.partition("@")[::2]
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "latest")


def _told_of(client: docker.DockerClient, image: Any, name: str, version: str) -> KafkaImage:
    return KafkaImage(client, name, str(image.id), version, image.labels.get(CACHE_LABEL) or None)


def build_image(client: docker.DockerClient, jvm: Jvm, progress: Progress) -> KafkaImage:
    """Make the image of this Java and these jars, with no registry; one of the same name is replaced.

    SetupFailed where there is no room for it, here or in the engine.
    """
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
        try:
            write_rootfs(root, jvm)
        except OSError as error:
            raise SetupFailed(
                f"the files of the image {name} cannot be collected in {temporary} ({error.strerror}): free some "
                "space there, or name another folder by TMPDIR"
            ) from None
        progress(f"making the image {name} ({root.stat().st_size >> 20} MiB)")
        with told(f"make the image {name}"):
            before = _id_of(client, name)
            answer = client.api.import_image_from_file(
                str(root), repository=OWN_REPOSITORY, tag=version, changes=changes
            )
            if reason := _refusal(answer):
                raise APIError(reason, explanation=reason)
            made = _told_of(client, client.images.get(name), name, version)
            if before not in (None, made.id):
                _forget(client, str(before))
            return made


def _id_of(client: docker.DockerClient, name: str) -> str | None:
    with contextlib.suppress(ImageNotFound):
        return str(client.images.get(name).id)
    return None


def _forget(client: docker.DockerClient, image_id: str) -> None:
    """Remove an image that lost its name: some 400 MiB; one that has another name, or a container, stays."""
    with contextlib.suppress(APIError):
        if not client.images.get(image_id).tags:
            client.images.remove(image_id)


def _refusal(answer: str) -> str | None:
    """The engine's reason, where it began to answer that all is well before it failed."""
    for line in answer.splitlines():
        with contextlib.suppress(ValueError):
            said = json.loads(line)
            if isinstance(said, dict) and "error" in said:
                return str(said["error"])
    return None
