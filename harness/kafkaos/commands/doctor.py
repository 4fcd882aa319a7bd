"""`kafkaos doctor`: can this machine run it, and if not, what to do."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from kafkaos.backends.names import Backend
from kafkaos.commands.listing import faults
from kafkaos.commands.options import JavaHome, Json
from kafkaos.commands.telling import print_json, stdout
from kafkaos.errors import EXIT_HELD, EXIT_UNKNOWN, KafkaosError

JAVA_DEADLINE_S = 20.0
MEMORY_WANTED_MB = 1500
DISK_WANTED_MB = 1000
MB = 1024 * 1024


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `needed`: the process backend cannot run without it."""

    name: str
    ok: bool
    told: str
    needed: bool = True


def doctor(java_home: JavaHome = None, json: Json = False) -> int:
    """Look at this machine: Python, Java, Kafka's jars, loopback addresses, memory, disk, leftovers."""
    from kafkaos.backends.docker_engine import unavailable

    looks: list[Callable[[], Finding]] = [_python, _system, _jars, _loopback, _memory, _disk, _leftovers]
    looks[2:2] = [lambda: _java(java_home), lambda: _start_cache(java_home)]
    findings = [_safely(look) for look in looks]
    reasons = [f.told for f in findings if f.needed and not f.ok]
    backends = [
        _backend("process", "; ".join(reasons) or None),
        _backend("docker", unavailable()),
        _backend("external", None),
    ]
    status = EXIT_UNKNOWN if reasons else EXIT_HELD
    if json:
        print_json({"ok": not reasons, "findings": [asdict(f) for f in findings], "backends": backends})
    else:
        _print(findings, backends)
    return status


def _backend(name: Backend, reason: str | None) -> dict[str, Any]:
    """Whether it runs here, and the faults that it cannot have here, each with the reason."""
    lacking = {row["name"]: row["reason"] for row in faults(name) if not row["available"]}
    return {"name": name, "available": reason is None, "reason": reason, "lacking": lacking}


def _can(backend: dict[str, Any]) -> str:
    """In words."""
    lacking = len(backend["lacking"])
    which = f"{lacking} of {len(faults(backend['name']))} faults (kafkaos list faults --backend {backend['name']})"
    told = f"can run here, without {which}" if lacking else "can run here, with all faults"
    from kafkaos.backends.docker_image import has_image

    if backend["name"] != "docker" or has_image():
        return told
    return f"{told}; it has no image yet: the first start pulls one, or `kafkaos image build` makes one"


def _print(findings: list[Finding], backends: list[dict[str, Any]]) -> None:
    table = Table(box=SIMPLE_HEAD)
    for name in ("what", "", "found"):
        table.add_column(name, overflow="fold")
    for f in findings:
        mark = "[green]ok" if f.ok else "[bold red]no" if f.needed else "[yellow]note"
        table.add_row(f.name, mark, f.told.replace("[", r"\["))
    for backend in backends:
        mark = "[green]ok" if backend["available"] else "[yellow]note"
        table.add_row(f"backend {backend['name']}", mark, backend["reason"] or _can(backend))
    stdout().print(table)


def _safely(look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except KafkaosError as error:
        return Finding(
            getattr(look, "__name__", "java").lstrip("_").replace("<lambda>", "java"), False, str(error)
        )


def _python() -> Finding:
    return Finding("python", sys.version_info >= (3, 11), f"{platform.python_version()} at {sys.executable}")


def _system() -> Finding:
    told = f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores"
    if sys.platform != "linux":
        return Finding("system", False, f"{told}: the process backend needs the loopback range of Linux")
    return Finding("system", True, told)


def _java(java_home: str | None) -> Finding:
    from kafkaos.backends.java import find_java

    java = find_java(java_home)
    try:
        done = subprocess.run(
            [java.executable, "-version"],
            capture_output=True,
            text=True,
            timeout=JAVA_DEADLINE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(
            "java", False, f"{java.executable} does not start ({error}): use another one by --java-home"
        )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing"]
        return Finding(
            "java",
            False,
            f"{java.executable} does not start ({said[0][:200]}): use another one by --java-home",
        )
    return Finding("java", True, f"{java.version} at {java.executable}")


def _jars() -> Finding:
    from kafkaos.backends.jars import kafka_jars, verify_checksums
    from kafkaos.backends.places import cache_folder
    from kafkaos.spec import DEFAULT_KAFKA_VERSION as VERSION

    folder = cache_folder() / f"kafka-{VERSION}"
    if not (folder / "manifest.json").exists():
        return Finding(
            "jars",
            False,
            f"Kafka {VERSION} is not downloaded yet: the first start does it, by the network",
            needed=False,
        )
    jars = kafka_jars(VERSION)
    changed = verify_checksums(jars)
    if changed:
        return Finding("jars", False, f"changed since the download: {', '.join(changed)}; remove {folder}")
    return Finding(
        "jars", True, f"Kafka {VERSION}: {len(jars.class_path)} jars, all checksums right, in {folder}"
    )


def _start_cache(java_home: str | None) -> Finding:
    from kafkaos.backends.jars import KafkaJars, kafka_jars
    from kafkaos.backends.java import find_java
    from kafkaos.backends.jvm import Jvm
    from kafkaos.backends.places import cache_folder
    from kafkaos.spec import DEFAULT_KAFKA_VERSION as VERSION

    folder = cache_folder() / f"kafka-{VERSION}"
    cached = (folder / "manifest.json").exists()
    try:
        java = find_java(java_home)
    except KafkaosError:  # told already
        return Finding("start cache", False, "none without a Java", needed=False)
    jvm = Jvm(java, kafka_jars(VERSION) if cached else KafkaJars(VERSION, folder, ()))
    if not jvm.can_cache:
        return Finding(
            "start cache",
            False,
            f"Java {jvm.java.version} cannot make one (25 can): starts take longer",
            needed=False,
        )
    if not cached or not jvm.cache.exists():
        return Finding("start cache", False, "not recorded yet: the first start does it", needed=False)
    return Finding("start cache", True, f"{jvm.cache.stat().st_size // MB} MB at {jvm.cache}")


def _loopback() -> Finding:
    try:
        for address in ("127.0.0.1", "127.2.1.1", "127.250.0.9"):
            with socket.socket() as probe:
                probe.bind((address, 0))
    except OSError as error:
        return Finding(
            "loopback",
            False,
            f"{address} cannot be used ({error}): every node needs an address in 127.0.0.0/8",
        )
    return Finding("loopback", True, "the range 127.0.0.0/8 can be used")


def _memory() -> Finding:
    import psutil

    free = psutil.virtual_memory().available // MB
    told = f"{free} MB free"
    if free < MEMORY_WANTED_MB:
        return Finding(
            "memory",
            False,
            f"{told}: a cluster of three wants {MEMORY_WANTED_MB} MB, end some programs",
            needed=False,
        )
    return Finding("memory", True, told)


def _disk() -> Finding:
    from kafkaos.backends.places import cache_folder, state_folder

    tight = []
    told = []
    for folder in (cache_folder(), state_folder()):
        free = shutil.disk_usage(folder).free // MB
        told.append(f"{free} MB free at {folder}")
        if free < DISK_WANTED_MB:
            tight.append(folder)
    if tight:
        return Finding("disk", False, f"{', '.join(told)}: {DISK_WANTED_MB} MB are wanted", needed=False)
    return Finding("disk", True, ", ".join(told))


def _leftovers() -> Finding:
    from kafkaos.backends.docker_engine import left_if_there
    from kafkaos.backends.places import state_folder, try_lock

    # Containers run on when their harness is killed, and their folders are gone by then.
    stale = left_if_there()
    for folder in sorted(state_folder().glob("cluster-*")):
        lock = try_lock(state_folder() / f"subnet-{folder.name.removeprefix('cluster-')}.lock")
        if lock is not None:
            os.close(lock)
            stale.append(folder.name)
    if stale:
        return Finding(
            "leftovers", False, f"{', '.join(stale)} of a killed harness: run `kafkaos heal`", needed=False
        )
    return Finding("leftovers", True, "none of a killed harness")
