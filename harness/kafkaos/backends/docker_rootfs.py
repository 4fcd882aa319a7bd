"""The files of an image with Kafka: the JRE and jars of the process backend, a shell, and the libraries that both load.

Nothing is fetched for it: what runs on this machine is copied, so that the image can be made where no registry is.
"""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from kafkaos.backends.jvm import LOG_CONFIG, Jvm
from kafkaos.errors import SetupFailed

SHELL = Path("/bin/sh")
LIBRARIES = "/opt/kafka/libs"
CACHE = "/opt/kafka/start.aot"
# What glibc loads by name when it looks up a host or a user; newer ones have these two built in.
LOADED_BY_NAME = ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2", "libgcc_s.so.1")
LDD_DEADLINE_S = 20
SCRIPT_MODE, FILE_MODE = 0o755, 0o644

RUN_CLASS = """#!/bin/sh
# As in Kafka's own distribution, as far as a node needs it: the variables of kafka-run-class.sh, and exec.
exec /opt/java/bin/java $KAFKA_HEAP_OPTS $KAFKA_JVM_PERFORMANCE_OPTS $KAFKA_LOG4J_OPTS $KAFKA_JMX_OPTS $KAFKA_OPTS \\
  -cp "{class_path}" "$@"
"""
TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nkafka:x:1000:1000:kafka:/tmp:/bin/sh\n",
    "etc/group": "root:x:0:\nkafka:x:1000:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "opt/kafka/config/log4j2.properties": LOG_CONFIG.read_text(),
}


def write_rootfs(target: Path, jvm: Jvm) -> None:
    """The image's tree as a tar file; SetupFailed where this machine's programs cannot be copied."""
    java_home = jvm.java.executable.parents[1]
    with tarfile.open(target, "w") as tar:
        for source in [
            SHELL,
            *_libraries([SHELL, java_home / "bin/java", java_home / "lib/server/libjvm.so"]),
        ]:
            # Under the name by which it is looked for, links followed.
            _add(tar, source.resolve(), str(source).lstrip("/"))
        for source in sorted(java_home.rglob("*")):
            if source.is_file():
                _add(tar, source.resolve(), f"opt/java/{source.relative_to(java_home)}")
        for jar in jvm.jars.class_path:
            _add(tar, jar, f"{LIBRARIES.lstrip('/')}/{jar.name}")
        if jvm.can_cache and jvm.cache.exists():
            _add(tar, jvm.cache, CACHE.lstrip("/"))
        # In the order of the cache's recording: it holds for this class path alone.
        class_path = ":".join(f"{LIBRARIES}/{jar.name}" for jar in jvm.jars.class_path)
        _text(tar, "opt/kafka/bin/kafka-run-class.sh", RUN_CLASS.format(class_path=class_path), SCRIPT_MODE)
        for name, text in TEXTS.items():
            _text(tar, name, text, FILE_MODE)
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(folder)


def _libraries(programs: list[Path]) -> Iterator[Path]:
    """Every shared library that these load, the loader itself included."""
    found: dict[Path, None] = {}
    for program in programs:
        try:
            listed = subprocess.run(
                ["ldd", program], capture_output=True, text=True, timeout=LDD_DEADLINE_S, check=True
            ).stdout
        except (OSError, subprocess.SubprocessError) as error:
            raise SetupFailed(
                f"ldd cannot tell the libraries of {program} ({error}): build the image on a Linux with glibc"
            ) from None
        found.update({Path(path): None for path in re.findall(r"(?:=> |^\s+)(/\S+)", listed, re.MULTILINE)})
    folders = {path.parent for path in found}
    by_name = [folder / name for folder in sorted(folders) for name in LOADED_BY_NAME]
    yield from [*found, *(path for path in by_name if path.exists() and path not in found)]


def _add(tar: tarfile.TarFile, source: Path, name: str) -> None:
    member = tar.gettarinfo(source, name)
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    # The start-up cache compares the jars' times, in whole seconds.
    member.mtime = int(member.mtime)
    member.mode = SCRIPT_MODE if member.mode & 0o111 else FILE_MODE
    with source.open("rb") as content:
        tar.addfile(member, content)


def _text(tar: tarfile.TarFile, name: str, text: str, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(text.encode()), mode
    tar.addfile(member, io.BytesIO(text.encode()))
