"""Changing a running node's stores: rotation, a certificate gone bad, trust revoked; and back again.

A broker reads its stores anew when `listener.name.<name>.ssl.keystore.location` (or the truststore's) is
altered for it, to the same path as well. It refuses a keystore of other names than before, unless it was
started with `ssl.allow.san.changes=true`.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from kafkaos.errors import WaitExpired, WrongUse
from kafkaos.shipped import near
from kafkaos.tls import stores
from kafkaos.tls.authority import Authority
from kafkaos.tls.material import NodeTls, TlsMaterial
from kafkaos.tls.private import write_private
from kafkaos.tls.profiles import Profile

NETWORK_THREADS = 3  # Kafka's default of num.network.threads, for each listener
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Replaced:
    """A store that was replaced in one step; `restore(store)` undoes it, from another process as well."""

    store: Path
    fingerprint: str
    """SHA-256, in hex, of the certificate that the store now shows or trusts."""


def reissue_keystore(material: TlsMaterial, node: str, *, profile: Profile | None = None) -> Replaced:
    """A new key and certificate for the node, under the store's old password.

    Without a profile it is a healthy one, as in a planned rotation; with one it has that profile's defects.
    Raises WrongUse for a node that has no stores here.
    """
    own = _node(material, node)
    chosen = profile or material.profile.mended()
    leaf = material.server_leaf(node, hosts=own.hosts, profile=chosen)
    data = stores.keystore(leaf, alias=node, password=own.shown.password)
    _replace(own.shown.keystore, data)
    return Replaced(own.shown.keystore, _fingerprint(leaf.certificate))


def revoke_trust(material: TlsMaterial, node: str) -> Replaced:
    """The node no longer trusts the cluster's authority, but a stranger (Java refuses an empty truststore).

    Raises WrongUse for a node that has no stores here.
    """
    own = _node(material, node)
    stranger = Authority().certificate
    _replace(own.shown.truststore, stores.truststore([stranger], password=own.shown.password))
    return Replaced(own.shown.truststore, _fingerprint(stranger))


def restore(store: Path) -> bool:
    """Puts back what was there before the first replacement; False when nothing was replaced."""
    try:
        # Kafka reads a store again only when its time of change differs; the copy's own time is within a
        # millisecond of the replacement's, so that without a new one a broker would go on with what it has.
        os.utime(_before(store))
        _before(store).replace(store)
    except FileNotFoundError:
        return False
    return True


def fingerprint_shown(host: str, port: int, *, timeout_s: float = 5.0) -> str:
    """The SHA-256, in hex, of the certificate that a server shows on one connection, right now.

    Raises OSError where nobody answers or the handshake breaks off before the certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = (
        ssl.CERT_NONE
    )  # looked at, not trusted: an expired certificate is to be seen as well
    with (
        socket.create_connection((host, port), timeout=timeout_s) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        return _fingerprint(x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b""))


def wait_shown(
    fingerprint: str, *, host: str, port: int, within_s: float = 10.0, in_a_row: int = NETWORK_THREADS * 4
) -> None:
    """Waits until the server shows this certificate alone: in so many connections in a row.

    One sighting is not enough. Each of a broker's network threads changes its stores by itself, and for up to
    0.2 s (measured, Kafka 4.3.1) some connections still got the old certificate. Threads take turns, so give
    more connections than `num.network.threads`. One that breaks off ends the row. Raises WaitExpired.
    """
    deadline_s = time.monotonic() + within_s
    seen, run = "nothing", 0
    while run < in_a_row:
        if time.monotonic() > deadline_s:
            raise WaitExpired(
                f"{host}:{port} did not show the certificate {fingerprint[:16]} alone within {within_s:g} s, "
                f"last {seen}; see in the broker's log whether it took the new store."
            )
        try:
            shown = fingerprint_shown(host, port)
        except OSError as error:
            seen, run = f"nothing ({error})", 0
            time.sleep(_LOOK_EVERY_S)
            continue
        seen, run = shown[:16], run + 1 if shown == fingerprint else 0


def _node(material: TlsMaterial, name: str) -> NodeTls:
    if name not in material.nodes:
        raise WrongUse(f"No TLS stores were issued for `{name}`{near(name, sorted(material.nodes))}")
    return material.nodes[name]


def _replace(store: Path, data: bytes) -> None:
    # Kept only once: after two rotations "before" is still what the cluster was set up with.
    if not _before(store).exists():
        write_private(_before(store), store.read_bytes())
    write_private(store, data)


def _before(store: Path) -> Path:
    return store.with_name(f"{store.name}.before")


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()
