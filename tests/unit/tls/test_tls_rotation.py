"""Rotation: a node's stores replaced in one step, and put back."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import pkcs12
from tls_bench import TIMEOUT_S, server_context

from kafkaos.errors import WaitExpired, WrongUse
from kafkaos.tls import rotation
from kafkaos.tls.material import TlsMaterial
from kafkaos.tls.profiles import load_profile

Issued = Callable[..., TlsMaterial]
Connect = Callable[..., Any]


def shown_in(store: Path, password: str) -> str:
    """The fingerprint of the certificate beside the store's key."""
    bag = pkcs12.load_pkcs12(store.read_bytes(), password.encode())
    assert bag.cert is not None
    return bag.cert.certificate.fingerprint(hashes.SHA256()).hex()


def test_a_rotated_keystore_shows_another_certificate_that_clients_take(
    issued: Issued, connect: Connect
) -> None:
    """A planned rotation changes the certificate, keeps the password, and no client notices."""
    material = issued("mtls")
    java = material.nodes["broker-1"].shown
    before = shown_in(java.keystore, java.password)
    replaced = rotation.reissue_keystore(material, "broker-1")
    assert replaced.fingerprint == shown_in(java.keystore, java.password) != before
    assert connect(material).succeeded


def test_a_certificate_can_go_bad_and_come_back(issued: Issued, connect: Connect) -> None:
    """Rotated to an expired certificate every client refuses; restored, the first one is back."""
    material = issued("mtls")
    java = material.nodes["broker-1"].shown
    before = shown_in(java.keystore, java.password)
    replaced = rotation.reissue_keystore(material, "broker-1", profile=load_profile("expired"))
    assert "certificate has expired" in str(connect(material).client_error)
    assert rotation.restore(replaced.store)
    assert shown_in(java.keystore, java.password) == before
    assert connect(material).succeeded


def test_two_rotations_restore_to_the_first_store(issued: Issued) -> None:
    """However often it rotated, restoring gives what the cluster was set up with, and once only."""
    material = issued("mtls")
    java = material.nodes["broker-1"].shown
    before = java.keystore.read_bytes()
    for _ in range(2):
        rotation.reissue_keystore(material, "broker-1")
    assert rotation.restore(java.keystore)
    assert java.keystore.read_bytes() == before
    assert not rotation.restore(java.keystore)


def test_a_restored_store_has_a_new_time_of_change(issued: Issued) -> None:
    """A broker reads a store again only when its time of change differs, so restoring gives a new one."""
    replaced = rotation.revoke_trust(issued("mtls"), "broker-1")
    long_ago_ns = 1_000_000_000
    os.utime(replaced.store.with_name(f"{replaced.store.name}.before"), ns=(long_ago_ns, long_ago_ns))
    assert rotation.restore(replaced.store)
    assert replaced.store.stat().st_mtime_ns > long_ago_ns


def test_revoked_trust_refuses_good_clients(
    issued: Issued, connect: Connect, java_lists: Callable[[Path, str], str]
) -> None:
    """A node whose trust was revoked refuses the cluster's own clients, and Java still reads its store."""
    material = issued("mtls")
    replaced = rotation.revoke_trust(material, "broker-1")
    assert "certificate verify failed" in str(connect(material).server_error)
    assert "trustedCertEntry" in java_lists(replaced.store, material.nodes["broker-1"].shown.password)
    assert rotation.restore(replaced.store)
    assert connect(material).succeeded


def test_an_unknown_node_is_wrong_use(issued: Issued) -> None:
    """Rotating a node that nothing was issued for names the near one."""
    with pytest.raises(WrongUse, match="did you mean `broker-"):
        rotation.reissue_keystore(issued("tls"), "brokr-1")


@contextmanager
def serving(contexts: Iterable[ssl.SSLContext]) -> Iterator[int]:
    """A server on the port given, one connection after the other, each with the next context."""

    def serve() -> None:
        for context in contexts:
            try:
                plain, _ = listener.accept()
                plain.settimeout(TIMEOUT_S)
                with plain, context.wrap_socket(plain, server_side=True) as secure:
                    secure.recv(1)
            except OSError:
                if done.is_set():
                    return
                # otherwise the reader hung up without a goodbye, as it does after each look

    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            done.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(TIMEOUT_S)


def shown_by(material: TlsMaterial, scratch: Path) -> ssl.SSLContext:
    """A server with what the first broker shows now."""
    java = material.nodes["broker-1"].shown
    return server_context(java.keystore, java.truststore, java.password, mutual=False, scratch=scratch)


def test_the_evidence_is_what_the_server_shows(issued: Issued, tmp_path: Path) -> None:
    """The fingerprint read over the wire is the store's, also of a certificate that no client would take."""
    material = issued("expired")
    java = material.nodes["broker-1"].shown
    with serving([shown_by(material, tmp_path)]) as port:
        assert rotation.fingerprint_shown("127.0.0.1", port) == shown_in(java.keystore, java.password)


def test_one_sighting_is_no_evidence(issued: Issued, tmp_path: Path) -> None:
    """A rotation has happened when the new certificate is shown in a row, not while old ones come between."""
    material = issued("tls")
    old = shown_by(material, tmp_path)
    replaced = rotation.reissue_keystore(material, "broker-1")
    new = shown_by(material, tmp_path)
    turns = iter([old, new, old, new, new, new, old])
    with serving(turns) as port:
        rotation.wait_shown(replaced.fingerprint, host="127.0.0.1", port=port, in_a_row=3)
        assert rotation.fingerprint_shown("127.0.0.1", port) != replaced.fingerprint
        assert list(turns) == []


def test_a_rotation_that_never_comes_is_told(issued: Issued, tmp_path: Path) -> None:
    """A server that goes on showing another certificate ends the wait at its deadline."""
    old = shown_by(issued("tls"), tmp_path)
    with serving(repeat(old)) as port, pytest.raises(WaitExpired, match=r"did not show the certificate 0000"):
        rotation.wait_shown("0" * 64, host="127.0.0.1", port=port, within_s=0.05)


def test_nobody_there_is_not_yet_and_told_at_the_deadline() -> None:
    """A connection that is refused ends no wait before its time, and is in the words of its end."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
        with pytest.raises(WaitExpired, match=r"last nothing \(.*refused"):
            rotation.wait_shown("0" * 64, host="127.0.0.1", port=port, within_s=0.05)
