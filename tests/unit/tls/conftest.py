"""Material, handshakes and the real keytool as fixtures."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tls_bench import Handshake, client_context, server_context, shake

from kafkaos.tls.keytool import keytool
from kafkaos.tls.material import TlsMaterial, issue
from kafkaos.tls.profiles import Profile, load_profile

NODES = {"broker-1": ["localhost", "broker-1", "127.0.0.1"], "broker-2": ["broker-2"]}


@pytest.fixture
def issued(tmp_path: Path) -> Callable[[str | Profile], TlsMaterial]:
    """Issues two brokers' stores and one client's files by a profile or the name of a shipped one."""

    def make(profile: str | Profile) -> TlsMaterial:
        chosen = load_profile(profile) if isinstance(profile, str) else profile
        return issue(chosen, folder=tmp_path / "tls", hosts=NODES, clients=["billing"])

    return make


@pytest.fixture
def connect(tmp_path: Path) -> Callable[..., Handshake]:
    """The client `billing` connects to `broker-1` of some material."""

    def go(
        material: TlsMaterial, *, certificate: bool = True, host: str = "localhost", ca: Path | None = None
    ) -> Handshake:
        node, client = material.nodes["broker-1"], material.client("billing")
        java = node.shown
        mutual = node.properties["ssl.client.auth"] == "required"
        server = server_context(
            java.keystore, java.truststore, java.password, mutual=mutual, scratch=tmp_path
        )
        files = (client.certificate_pem, client.key_pem) if certificate else ()
        return shake(server, client_context(ca or client.ca_pem, *files), host=host)

    return go


@pytest.fixture
def java_lists() -> Callable[[Path, str], str]:
    """What the real JRE's keytool lists of a store; its refusal fails the test."""

    def listing(store: Path, password: str) -> str:
        done = subprocess.run(
            [
                keytool(),
                "-J-XX:TieredStopAtLevel=1",
                "-list",
                "-v",
                "-keystore",
                store,
                "-storepass",
                password,
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return listing
