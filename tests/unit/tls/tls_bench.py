"""Real handshakes over the loopback interface, with the very files that brokers and clients load."""

from __future__ import annotations

import socket
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Handshake:
    """How it ended on both sides: each one's error, and the name of the client that the server saw."""

    client_error: Exception | None
    server_error: Exception | None
    client_subject: str | None

    @property
    def succeeded(self) -> bool:
        return self.client_error is None and self.server_error is None


def server_context(
    keystore: Path, truststore: Path, password: str, *, mutual: bool, scratch: Path
) -> ssl.SSLContext:
    """A server that loads a broker's two PKCS12 stores."""
    secret = password.encode()
    bag = pkcs12.load_pkcs12(keystore.read_bytes(), secret)
    trusted = pkcs12.load_pkcs12(truststore.read_bytes(), secret).additional_certs
    assert bag.key is not None
    assert bag.cert is not None
    pem = scratch / "server.pem"
    chain = [bag.cert, *bag.additional_certs]
    pem.write_bytes(
        bag.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + b"".join(part.certificate.public_bytes(Encoding.PEM) for part in chain)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    for entry in trusted:
        context.load_verify_locations(cadata=entry.certificate.public_bytes(Encoding.PEM).decode())
    context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE
    return context


def client_context(ca: Path, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """A client that loads the PEM files of librdkafka clients."""
    context = ssl.create_default_context(cafile=ca)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def shake(server: ssl.SSLContext, client: ssl.SSLContext, *, host: str = "localhost") -> Handshake:
    """One connection. The client reads a byte: in TLS 1.3 it hears of a refused certificate only then."""
    server_side: list[Exception | str | None] = []

    def serve() -> None:
        try:
            plain, _ = listener.accept()
            with plain:
                plain.settimeout(TIMEOUT_S)
                with server.wrap_socket(plain, server_side=True) as secure:
                    secure.sendall(b"k")
                    names = dict(part[0] for part in (secure.getpeercert() or {}).get("subject", ()))
                    server_side.append(names.get("commonName"))
        except OSError as error:
            server_side.append(error)

    client_error: Exception | None = None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT_S)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with (
                socket.create_connection(listener.getsockname(), timeout=TIMEOUT_S) as plain,
                client.wrap_socket(plain, server_hostname=host) as secure,
            ):
                assert secure.recv(1) == b"k"
        except OSError as error:
            client_error = error
        thread.join(TIMEOUT_S)
    (seen,) = server_side
    error = seen if isinstance(seen, Exception) else None
    return Handshake(client_error, error, seen if isinstance(seen, str) else None)
