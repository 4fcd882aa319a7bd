"""Storage as the Kafka of an image formats it: made once, in a container that shares nothing with this machine."""

from __future__ import annotations

import io
import os
import shlex
import tarfile
from pathlib import Path

import docker
from docker.errors import NotFound
from docker.models.containers import Container

from kafkaos.backends import kraft
from kafkaos.backends.docker_engine import labels, remove, told, whole
from kafkaos.backends.places import cache_folder, locked, state_folder
from kafkaos.errors import SetupFailed

RUN_CLASS = "/opt/kafka/bin/kafka-run-class.sh"
FOLDER = "/tmp/kafkaos"
DEADLINE_S = 120


def checkpoint(client: docker.DockerClient, image_id: str, name: str) -> Path:
    """The `bootstrap.checkpoint` of an image's Kafka, kept from its first use; SetupFailed where it has no Kafka."""
    short = image_id.removeprefix("sha256:")[:24]
    kept = cache_folder() / "images" / short / "bootstrap.checkpoint"
    kept.parent.mkdir(parents=True, exist_ok=True)
    lock = state_folder() / f"image-{short}.lock"
    with locked(lock):
        if not kept.exists():
            pending = kept.with_suffix(f".{os.getpid()}")
            pending.write_bytes(_format(client, image_id, name, lock))
            pending.replace(kept)
    return kept


def _format(client: docker.DockerClient, image_id: str, name: str, lock: Path) -> bytes:
    tool = [
        RUN_CLASS,
        "kafka.tools.StorageTool",
        "format",
        "-t",
        kraft.new_cluster_id(),
        "-c",
        f"{FOLDER}/config",
    ]
    made: list[Container] = []

    def make() -> None:
        container = client.containers.create(
            image_id,
            entrypoint=["/bin/sh", "-c", f"{shlex.join(tool)} > {FOLDER}/told 2>&1"],
            user=f"{os.getuid()}:{os.getgid()}",
            environment={"LOG_DIR": "/tmp", "KAFKA_JMX_OPTS": "-Dkafkaos=1"},
            network_mode="none",
            labels=labels(lock),
        )
        made.append(container)

    try:
        with told(f"run Kafka's storage tool in {name}"):
            whole(make)
        (container,) = made
        with told(f"run {RUN_CLASS} in {name}: is Kafka in that image?"):
            container.put_archive("/", _folder())
            container.start()
            status = container.wait(timeout=DEADLINE_S)["StatusCode"]
        if status == 0:
            return _file_in(container, f"{FOLDER}/data/bootstrap.checkpoint")
        said = kraft.last_word(_file_in(container, f"{FOLDER}/told").decode(errors="replace"))
    finally:
        for container in made:
            remove(container)
    raise SetupFailed(
        f"the image {name} cannot format storage by {RUN_CLASS} ({said}): take an image that has "
        "Kafka 4 in /opt/kafka, or make one by `kafkaos image build`"
    )


def _folder() -> bytes:
    """The container's folder with its settings, as a tar file."""
    files = io.BytesIO()
    with tarfile.open(fileobj=files, mode="w") as tar:
        folder = tarfile.TarInfo(FOLDER.lstrip("/"))
        folder.type, folder.mode, folder.uid, folder.gid = tarfile.DIRTYPE, 0o700, os.getuid(), os.getgid()
        tar.addfile(folder)
        properties = kraft.FORMAT_PROPERTIES.format(data=f"{FOLDER}/data")
        member = tarfile.TarInfo(f"{folder.name}/config")
        member.size, member.mode, member.uid, member.gid = len(properties), 0o600, os.getuid(), os.getgid()
        tar.addfile(member, io.BytesIO(properties.encode()))
    return files.getvalue()


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
