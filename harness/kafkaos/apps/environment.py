"""What an application is told about its cluster: environment variables and two properties files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kafkaos.cluster import Cluster
from kafkaos.tls.certs_text import java_properties
from kafkaos.tls.private import private_folder, write_private

BOOTSTRAP = "KAFKAOS_BOOTSTRAP"
CLIENT_CONFIG = "KAFKAOS_CLIENT_CONFIG"
JAVA_CONFIG = "KAFKAOS_JAVA_CONFIG"
CLUSTER = "KAFKAOS_CLUSTER"


def client_environment(cluster: Cluster, *, folder: Path, client: str = "client") -> dict[str, str]:
    """The `KAFKAOS_*` variables by which an application in any language finds the cluster.

    `KAFKAOS_CLIENT_CONFIG` (librdkafka, kcat -F) and `KAFKAOS_JAVA_CONFIG` (Java clients, --command-config) name
    properties files, written below `folder` and readable by their owner only: the Java one holds store passwords.
    """
    private_folder(folder)
    librdkafka = cluster.client_config(client)
    return {
        BOOTSTRAP: librdkafka["bootstrap.servers"],
        CLIENT_CONFIG: str(_write(folder / f"{client}.librdkafka.properties", _as_they_are(librdkafka))),
        JAVA_CONFIG: str(
            _write(folder / f"{client}.java.properties", java_properties(cluster.java_config(client)))
        ),
        CLUSTER: cluster.spec.name,
    }


def _as_they_are(properties: Mapping[str, str]) -> str:
    """librdkafka's programs know no escapes."""
    return "".join(f"{key}={value}\n" for key, value in properties.items())


def _write(path: Path, text: str) -> Path:
    return write_private(path, text.encode())
