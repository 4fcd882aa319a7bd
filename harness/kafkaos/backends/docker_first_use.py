"""What an image is asked for once, and what is kept of it: formatted storage, and an archive for fast starts.

It happens in a container that shares nothing with this machine. The archive is Java's own of loaded classes (CDS), for
images that bring no start-up cache: recorded by a broker that starts and ends in order. Where it cannot be had (an old
Java, an image with no `grep`) starts are slower, and that is all.
"""

from __future__ import annotations

import io
import os
import shlex
import tarfile
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import NotFound
from docker.models.containers import Container

from kafkaos.backends import kraft
from kafkaos.backends.docker_engine import labels, told
from kafkaos.backends.jvm import FAST_START, LOG_CONFIG
from kafkaos.backends.places import cache_folder, locked, state_folder
from kafkaos.errors import SetupFailed

RUN_CLASS = "/opt/kafka/bin/kafka-run-class.sh"
FOLDER = "/tmp/kafkaos"
DEADLINE_S = 180
FORMAT = f"{RUN_CLASS} {{tool}} > {FOLDER}/told 2>&1 || exit 1\n"
# At most 60 s, by looks: a broker that hangs must not be waited for.
RECORD = f"""
export KAFKA_JVM_PERFORMANCE_OPTS="{" ".join(FAST_START)} -XX:ArchiveClassesAtExit={FOLDER}/start.jsa"
export KAFKA_LOG4J_OPTS=-Dlog4j2.configurationFile={FOLDER}/log4j2.properties
{RUN_CLASS} kafka.Kafka {FOLDER}/config > {FOLDER}/broker 2>&1 &
looks=0
until grep -q "Kafka Server started" {FOLDER}/broker; do
  looks=$((looks + 1))
  kill -0 $! && [ $looks -lt 300 ] && sleep 0.2 || break
done
kill $!
wait $!
exit 0
"""


@dataclass(frozen=True)
class FirstUse:
    """The files that are kept of an image."""

    folder: Path

    @property
    def checkpoint(self) -> Path:
        """The `bootstrap.checkpoint` of its Kafka."""
        return self.folder / "bootstrap.checkpoint"

    @property
    def archive(self) -> Path:
        """Not there where the image has a start-up cache of its own, or could make none."""
        return self.folder / "start.jsa"


def first_use(client: docker.DockerClient, image_id: str, name: str, *, record: bool) -> FirstUse:
    """Use an image for the first time, unless that was done; with `record` for the archive too.

    SetupFailed where the image has no Kafka.
    """
    short = image_id.removeprefix("sha256:")[:24]
    kept = FirstUse(cache_folder() / "images" / short)
    kept.folder.mkdir(parents=True, exist_ok=True)
    lock = state_folder() / f"image-{short}.lock"
    with locked(lock):
        if not kept.checkpoint.exists():
            made = _run(client, image_id, name, lock, record=record)
            for target in (kept.archive, kept.checkpoint):
                if target.name in made:
                    pending = target.with_suffix(f".{os.getpid()}")
                    pending.write_bytes(made[target.name])
                    pending.replace(target)
    return kept


def _run(
    client: docker.DockerClient, image_id: str, name: str, lock: Path, *, record: bool
) -> dict[str, bytes]:
    tool = ["kafka.tools.StorageTool", "format", "-t", kraft.new_cluster_id(), "-c", f"{FOLDER}/config"]
    with told(f"run Kafka's storage tool in {name}"):
        container = client.containers.create(
            image_id,
            entrypoint=["/bin/sh", "-c", FORMAT.format(tool=shlex.join(tool)) + (RECORD if record else "")],
            user=f"{os.getuid()}:{os.getgid()}",
            environment={"LOG_DIR": "/tmp", "KAFKA_JMX_OPTS": "-Dkafkaos=1"},
            network_mode="none",
            labels=labels(lock),
        )
    try:
        with told(f"run {RUN_CLASS} in {name}: is Kafka in that image?"):
            container.put_archive("/", _folder())
            container.start()
            status = container.wait(timeout=DEADLINE_S)["StatusCode"]
        if status == 0:
            wanted = {"bootstrap.checkpoint": f"{FOLDER}/data/bootstrap.checkpoint"}
            wanted |= {"start.jsa": f"{FOLDER}/start.jsa"} if record else {}
            found = {file: _file_in(container, path) for file, path in wanted.items()}
            return {file: content for file, content in found.items() if content}
        said = _file_in(container, f"{FOLDER}/told").decode(errors="replace").strip() or "nothing"
    finally:
        container.remove(force=True, v=True)
    raise SetupFailed(
        f"the image {name} cannot format storage by {RUN_CLASS} ({said.splitlines()[0][:200]}): take an image that "
        "has Kafka 4 in /opt/kafka, or make one by `kafkaos image build`"
    )


def _folder() -> bytes:
    """The container's folder with the files that it starts with, as a tar file."""
    files = io.BytesIO()
    with tarfile.open(fileobj=files, mode="w") as tar:
        folder = tarfile.TarInfo(FOLDER.lstrip("/"))
        folder.type, folder.mode, folder.uid, folder.gid = tarfile.DIRTYPE, 0o700, os.getuid(), os.getgid()
        tar.addfile(folder)
        properties = kraft.FORMAT_PROPERTIES.format(data=f"{FOLDER}/data")
        for name, text in {"config": properties, "log4j2.properties": LOG_CONFIG.read_text()}.items():
            member = tarfile.TarInfo(f"{folder.name}/{name}")
            member.size, member.mode, member.uid, member.gid = len(text), 0o600, os.getuid(), os.getgid()
            tar.addfile(member, io.BytesIO(text.encode()))
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
