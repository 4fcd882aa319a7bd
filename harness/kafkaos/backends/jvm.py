"""How a Kafka JVM is started fast: flags, and a start-up cache built once per Java and Kafka version."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from kafkaos.backends.jars import KafkaJars
from kafkaos.backends.java import Java

# The first compiler alone and the serial collector start fastest and leave the two cores to the other brokers.
FAST_START = (
    "-XX:TieredStopAtLevel=1",
    # A third of a start was compilation, most of it of what is never called again.
    "-XX:CompileThresholdScaling=5",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    "-Xss512k",
    "-Djava.net.preferIPv4Stack=true",
    "-Djava.awt.headless=true",
    "-Dlog4j2.disable.jmx=true",
    "-Dlog4j2.isWebapp=false",
    "-Dlog4j.skipJansi=true",
)
# The cache lies where it was recorded (else each JVM writes a quarter of its 70 MB anew), and does not have compiled at
# once what was compiled in the end when it was recorded.
AS_RECORDED = (
    "-XX:+IgnoreUnrecognizedVMOptions",
    "-XX:+UnlockDiagnosticVMOptions",
    "-XX:ArchiveRelocationMode=0",
    "-XX:-AOTReplayTraining",
)
LOG_CONFIG = Path(__file__).with_name("log4j2.properties")
# Kafka 3 logs by log4j 1.
OLD_LOG_CONFIG = Path(__file__).with_name("log4j.properties")


def heap_options(heap_mb: int) -> list[str]:
    """A heap that starts small: most brokers of a test never need more."""
    return [f"-Xms{min(64, heap_mb)}m", f"-Xmx{heap_mb}m"]


def cache_options(cache: Path | str) -> list[str]:
    """Start by this AOT cache, and without it, in silence, where it does not fit."""
    return [
        f"-XX:AOTCache={cache}",
        "-XX:AOTMode=auto",
        *AS_RECORDED,
        "-Xlog:disable",
        "-Xlog:all=error:stderr",
    ]


@dataclass(frozen=True)
class Jvm:
    """A Java with Kafka's class path."""

    java: Java
    jars: KafkaJars

    @property
    def cache(self) -> Path:
        """The AOT cache of this Java, class path and flags (67 MiB); any of them changed is another file."""
        key = "\n".join(
            [str(self.java.executable), self.java.version, self.jars.class_path_option, *FAST_START]
        )
        return self.jars.folder / f"start-{hashlib.sha256(key.encode()).hexdigest()[:16]}.aot"

    @property
    def can_cache(self) -> bool:
        # One-step AOT caches came with Java 25.
        return self.java.feature >= 25

    def command(
        self,
        main_class: str,
        *arguments: str,
        heap_mb: int = 256,
        hosts_file: Path | None = None,
        record_cache: Path | None = None,
        options: tuple[str, ...] = (),
        log_config: Path = LOG_CONFIG,
    ) -> list[str]:
        """The whole command line; with `record_cache` the JVM writes its AOT cache there when it ends."""
        command = [str(self.java.executable), *FAST_START, *heap_options(heap_mb)]
        if record_cache is not None:
            command += [f"-XX:AOTCacheOutput={record_cache}"]
        elif self.can_cache and self.cache.exists():
            command += cache_options(self.cache)
        if hosts_file is not None:
            command.append(f"-Djdk.net.hosts.file={hosts_file}")
        old = any(jar.name.startswith("reload4j") for jar in self.jars.class_path)
        command.append(
            f"-Dlog4j.configuration={OLD_LOG_CONFIG.as_uri()}"
            if old
            else f"-Dlog4j2.configurationFile={log_config}"
        )
        return [*command, *options, "-cp", self.jars.class_path_option, main_class, *arguments]
