"""What a cluster is issued: who may read it, what it proves, and that Java reads it."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from kafkaos.errors import WrongUse
from kafkaos.tls.material import TlsMaterial, issue
from kafkaos.tls.private import write_private
from kafkaos.tls.profiles import load_profile

Issued = Callable[..., TlsMaterial]
Connect = Callable[..., Any]


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A umask that would give everybody everything."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_only_the_owner_reads_what_was_issued(open_umask: None, issued: Issued) -> None:
    """Under umask 0 every folder still has mode 0700 and every file 0600."""
    material = issued("expired")
    below = list(material.folder.rglob("*"))
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [material.folder, *below]}
    assert len([path for path in below if path.is_file()]) == 14
    assert {
        path: oct(mode) for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)
    } == {}


def test_a_file_is_private_from_its_first_byte(
    open_umask: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mode is given to open itself, so that there is no moment in which others can open the file."""
    seen: list[int] = []
    real = os.fdopen

    def spy(handle: int, *rest: Any) -> Any:
        seen.append(stat.S_IMODE(os.fstat(handle).st_mode))
        return real(handle, *rest)

    monkeypatch.setattr(os, "fdopen", spy)
    write_private(tmp_path / "key", b"secret")
    assert seen == [0o600]
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    """A broken write leaves no half file and no temporary one."""
    write_private(tmp_path / "key", b"old")
    with pytest.raises(TypeError):
        write_private(tmp_path / "key", "text is not bytes")  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert (tmp_path / "key").read_bytes() == b"old"


def test_certificates_are_signed_by_the_cluster_s_authority(issued: Issued) -> None:
    """The chain of a client's certificate verifies, and its subject is the Kafka principal."""
    client = issued("mtls").client("billing")
    certificate = x509.load_pem_x509_certificate(client.certificate_pem.read_bytes())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(client.ca_pem.read_bytes()))
    assert client.principal == "User:CN=billing,OU=clients,O=kafkaos"


@pytest.mark.parametrize("key_type", ["ec", "rsa"])
def test_mutual_tls_connects_and_names_the_client(issued: Issued, connect: Connect, key_type: str) -> None:
    """With mutual TLS both sides accept each other, for either type of key."""
    profile = load_profile("mtls").model_copy(update={"key_type": key_type})
    seen = connect(issued(profile))
    assert (seen.client_error, seen.server_error, seen.client_subject) == (None, None, "billing")


@pytest.mark.parametrize("host", ["localhost", "broker-1", "127.0.0.1"])
def test_one_way_tls_takes_any_client_by_every_name(issued: Issued, connect: Connect, host: str) -> None:
    """With one-way TLS a client without a certificate connects, by each DNS name and address of the node."""
    assert connect(issued("tls"), certificate=False, host=host).succeeded


def test_mutual_tls_refuses_a_client_without_certificate(issued: Issued, connect: Connect) -> None:
    """With mutual TLS the broker breaks off when the client shows nothing."""
    seen = connect(issued("mtls"), certificate=False)
    assert "PEER_DID_NOT_RETURN_A_CERTIFICATE" in str(seen.server_error)
    assert seen.client_error is not None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("expired", "certificate has expired"),
        ("wrong-host", "Hostname mismatch"),
        ("unknown-ca", "signed certificate in certificate chain"),
    ],
)
def test_a_profile_s_defect_is_refused_for_that_reason(
    issued: Issued, connect: Connect, name: str, reason: str
) -> None:
    """A client refuses the defect that the profile names, and for no other reason."""
    assert reason in str(connect(issued(name)).client_error)


def test_an_authority_of_another_cluster_is_refused(issued: Issued, connect: Connect, tmp_path: Path) -> None:
    """A client that trusts another cluster's authority refuses this one's brokers."""
    other = issue(load_profile("tls"), folder=tmp_path / "other", hosts={}, clients=[])
    assert "certificate verify failed" in str(connect(issued("tls"), ca=other.ca_pem).client_error)


@pytest.mark.parametrize(("name", "reason"), [("expired", "EXPIRED"), ("unknown-ca", "VERIFY_FAILED")])
def test_a_client_s_own_defect_is_refused(issued: Issued, connect: Connect, name: str, reason: str) -> None:
    """A mutual broker refuses a client whose own certificate is expired or of a foreign authority."""
    material = issued("mtls")
    material.add_client("billing", profile=load_profile(name))
    seen = connect(material)
    assert "certificate verify failed" in str(seen.server_error)
    assert reason in str(seen.server_error).upper()


def test_brokers_stay_healthy_among_themselves(issued: Issued) -> None:
    """A defect is in what clients are shown, while the internal stores form a cluster."""
    node = issued("expired").nodes["broker-1"]
    assert node.internal_properties["ssl.keystore.location"] != node.properties["ssl.keystore.location"]
    own = node.listener_properties("CLIENT")
    assert own["listener.name.client.ssl.keystore.location"] == str(node.shown.keystore)
    whole = issued("mtls").nodes["broker-1"]
    assert whole.internal == whole.shown


def test_java_reads_both_stores(issued: Issued, java_lists: Callable[[Path, str], str]) -> None:
    """The JRE's keytool finds the key with its chain, and a trusted authority rather than an empty store."""
    node = issued("mtls").nodes["broker-1"]
    key = java_lists(node.shown.keystore, node.shown.password)
    assert "Entry type: PrivateKeyEntry" in key
    assert "Certificate chain length: 2" in key
    trusted = java_lists(node.shown.truststore, node.shown.password)
    assert trusted.count("Entry type: trustedCertEntry") == 1


def test_passwords_are_never_shared(issued: Issued) -> None:
    """Each node and each client has a password of its own."""
    material = issued("mtls")
    passwords = [node.shown.password for node in material.nodes.values()]
    passwords.append(material.client("billing").java.password)
    assert len(set(passwords)) == 3


def test_properties_name_files_that_are_there(issued: Issued) -> None:
    """Every location that brokers and clients are told exists, and names are always checked."""
    material = issued("mtls")
    client = material.client("billing")
    told = [material.nodes["broker-1"].properties, client.librdkafka(), client.java_properties()]
    for properties in told:
        locations = [value for key, value in properties.items() if key.endswith(".location")]
        assert len(locations) >= 2
        assert all(Path(location).is_file() for location in locations)
        assert properties["ssl.endpoint.identification.algorithm"] == "https"
    assert not any("keystore" in key for key in client.java_properties(certificate=False))
    assert "ssl.key.location" not in client.librdkafka(certificate=False)


def test_an_unknown_client_is_wrong_use(issued: Issued) -> None:
    """Asking for a client that nothing was issued for names the near one."""
    with pytest.raises(WrongUse, match="did you mean `billing`"):
        issued("tls").client("biling")


def test_a_cluster_s_material_is_issued_at_once(tmp_path: Path) -> None:
    """Three brokers, a controller and two clients take 15 ms of CPU; ten times that is a mistake."""
    nodes = {name: [name, "127.0.0.1"] for name in ("broker-1", "broker-2", "broker-3", "controller-1")}
    cpu_ms = []
    for attempt in range(3):
        start_s = time.process_time()
        issue(load_profile("mtls"), folder=tmp_path / str(attempt), hosts=nodes, clients=["a", "b"])
        cpu_ms.append((time.process_time() - start_s) * 1e3)
    assert min(cpu_ms) < 150
