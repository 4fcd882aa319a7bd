"""PKCS12 stores that Java reads, made without a JVM."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import KeySerializationEncryption, PrivateFormat, pkcs12

from kafkaos.tls.authority import Leaf

# Rounds make a guessable password slow to guess. A random one has 192 bits, so they protect nothing, and each
# load pays for them in a JVM that is still cold. A password that a person chose gets 20,000.
ROUNDS_RANDOM_PASSWORD = 1000
ROUNDS_GIVEN_PASSWORD = 20_000


def random_password() -> str:
    """192 random bits, in letters that need no escaping in properties files."""
    return secrets.token_urlsafe(24)


def keystore(leaf: Leaf, *, alias: str, password: str, rounds: int = ROUNDS_RANDOM_PASSWORD) -> bytes:
    """The private key with its chain, key and store under one password (Java's PKCS12 knows only one)."""
    return pkcs12.serialize_key_and_certificates(
        alias.encode(), leaf.key, leaf.certificate, [leaf.authority], _encryption(password, rounds)
    )


def truststore(
    authorities: Iterable[x509.Certificate], *, password: str, rounds: int = ROUNDS_RANDOM_PASSWORD
) -> bytes:
    """The roots to trust, each marked trustedKeyUsage: without that mark Java sees an empty truststore."""
    entries = [pkcs12.PKCS12Certificate(root, f"ca-{n}".encode()) for n, root in enumerate(authorities, 1)]
    return pkcs12.serialize_java_truststore(entries, _encryption(password, rounds))


def _encryption(password: str, rounds: int) -> KeySerializationEncryption:
    return (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(rounds)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(password.encode())
    )
