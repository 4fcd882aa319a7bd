"""Kafka's jars from Maven coordinates, verified by checksum and cached per user.

jgo resolves and downloads and compares each file with the repository's own SHA-1; what arrived is checked against
the SHA-256 list that kafkaos ships for the versions it knows, and remembered for those that it does not, so
that a cache that was changed later is noticed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jgo.maven
import jgo.parse

from kafkaos.backends.places import cache_folder, locked
from kafkaos.errors import SetupFailed

DOWNLOADS_AT_ONCE = 8
# The log4j 1 of Kafka 3's distributions.
RELOAD4J_VERSION = "1.2.25"
KNOWN_CHECKSUMS = Path(__file__).with_name("checksums")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class KafkaJars:
    """A Kafka version on disk."""

    version: str
    folder: Path
    class_path: tuple[Path, ...]

    @property
    def class_path_option(self) -> str:
        return os.pathsep.join(map(str, self.class_path))


def kafka_jars(version: str, progress: Progress = lambda _: None) -> KafkaJars:
    """The broker's jars and Kafka's tools; downloads on first use.

    SetupFailed without a network, or with a wrong checksum.
    """
    folder = cache_folder() / f"kafka-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "manifest.json"
    with locked(folder / "lock"):
        if not manifest.exists():
            _download(version, folder, manifest, progress)
    return KafkaJars(version, folder, _check(folder, manifest))


def _download(version: str, folder: Path, manifest: Path, progress: Progress) -> None:
    progress(f"Kafka {version}: resolving its jars (only on the first start)")
    context = jgo.maven.MavenContext(repo_cache=folder / "download")
    try:
        artifacts = _resolve(context, version)
        done = 0
        paths: list[Path] = []
        with _Mismatches() as mismatches, ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
            for path in pool.map(lambda artifact: Path(artifact.resolve()), artifacts):
                paths.append(path)
                done += 1
                progress(f"Kafka {version}: {done} of {len(artifacts)} jars")
        if mismatches.messages:
            raise OSError(mismatches.messages[0])
    except Exception as error:  # jgo lets the errors of its HTTP library, its XML parser and its own through
        shutil.rmtree(folder / "download", ignore_errors=True)
        raise SetupFailed(
            f"Kafka {version} could not be downloaded ({_first_line(error)}): the first start needs a network and a "
            f"Maven repository; check the version and the connection, or copy {folder} from a machine that has it"
        ) from None
    jars = folder / "jars"
    jars.mkdir(exist_ok=True)
    known = _known_checksums(version)
    entries = []
    for path in paths:
        target = jars / path.name
        path.replace(target)
        digest = _sha256(target)
        if known and known.get(target.name) != digest:
            raise SetupFailed(
                f"{target.name} of Kafka {version} has SHA-256 {digest}, not the one that kafkaos expects: do not use "
                f"this download; remove {folder} and start again from a network that you trust"
            )
        stat = target.stat()
        entries.append(
            {"name": target.name, "sha256": digest, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        )
    shutil.rmtree(folder / "download", ignore_errors=True)
    temporary = manifest.with_suffix(".tmp")
    temporary.write_text(json.dumps(entries, indent=1))
    temporary.replace(manifest)


def _resolve(context: Any, version: str) -> list[Any]:
    """Every artifact of the class path, each once."""
    broker = _closure(context, "org.apache.kafka", "kafka_2.13", version)
    extra = [("org.apache.kafka", "kafka-tools", version), *_logging(broker)]
    # By group too: Kafka 3 has two libraries that are called metrics-core.
    found = {(artifact.groupId, artifact.artifactId): artifact for artifact in broker}
    for group, name, wanted in extra:
        # Resolved on its own and without its dependencies: together, the resolver picked another kafka-clients.
        found.setdefault((group, name), context.project(group, name).at_version(wanted).artifact())
    return sorted(found.values(), key=lambda artifact: str(artifact.filename))


def _logging(broker: list[Any]) -> list[tuple[str, str, str]]:
    """The slf4j binding: Kafka's own pom names none, its distribution adds it."""
    versions = {artifact.artifactId: artifact.version for artifact in broker}
    if "log4j-core" in versions:
        return [("org.apache.logging.log4j", "log4j-slf4j-impl", versions["log4j-core"])]
    return [
        ("ch.qos.reload4j", "reload4j", RELOAD4J_VERSION),
        ("org.slf4j", "slf4j-reload4j", versions["slf4j-api"]),
    ]


def _closure(context: Any, group: str, name: str, version: str) -> list[Any]:
    coordinate = jgo.parse.Coordinate(groupId=group, artifactId=name, version=version, scope="compile")
    direct, transitive = context.resolver.resolve([context.create_dependency(coordinate)])
    return [d.artifact for d in [*direct, *transitive] if d.scope in ("compile", "runtime")]


class _Mismatches(logging.Handler):
    """jgo only logs that a file differs from the repository's SHA-1; here that is an error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "Checksum mismatch" in record.getMessage():
            self.messages.append(record.getMessage())

    def __enter__(self) -> _Mismatches:
        logging.getLogger("jgo").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("jgo").removeHandler(self)


def _check(folder: Path, manifest: Path) -> tuple[Path, ...]:
    """Size and time of each jar; a jar whose time changed is hashed again."""
    paths = []
    for entry in json.loads(manifest.read_text()):
        path = folder / "jars" / entry["name"]
        try:
            stat = path.stat()
        except FileNotFoundError:
            stat = None
        same = stat is not None and stat.st_size == entry["size"]
        if same and stat is not None and stat.st_mtime_ns != entry["mtime_ns"]:
            same = _sha256(path) == entry["sha256"]
        if not same:
            raise SetupFailed(
                f"{path} is missing or was changed since it was downloaded: remove {folder} and start again"
            )
        paths.append(path)
    return tuple(paths)


def verify_checksums(jars: KafkaJars) -> list[str]:
    """Hash every jar; the names of those that differ (for `kafkaos doctor`)."""
    entries = json.loads((jars.folder / "manifest.json").read_text())
    return [e["name"] for e in entries if _sha256(jars.folder / "jars" / e["name"]) != e["sha256"]]


def _known_checksums(version: str) -> dict[str, str]:
    path = KNOWN_CHECKSUMS / f"kafka-{version}.sha256"
    if not path.exists():
        return {}
    return {name: digest for digest, name in (line.split() for line in path.read_text().splitlines())}


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return (text[0] if text else type(error).__name__)[:200]
