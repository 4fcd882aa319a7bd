"""PKCS12 stores that Java reads, made without a JVM, and the properties that name them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import KeySerializationEncryption, PrivateFormat, pkcs12

from kafkaos.tls.authority import Leaf
from kafkaos.tls.private import write_private

Properties = dict[str, str]

# Rounds make a guessable password slow to guess. A random one has 192 bits, so they protect nothing, and a broker
# loads its stores about twelve times while its JVM is still cold: 1,000 rounds were a sixth of the CPU time of a
# start. A password that a person chose gets 20,000.
ROUNDS_RANDOM_PASSWORD = 1
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


@dataclass(frozen=True)
class JavaStores:
    """A PKCS12 keystore and truststore side by side, and their one password."""

    keystore: Path
    truststore: Path
    password: str

    @classmethod
    def write(
        cls, leaf: Leaf, trusted: Iterable[x509.Certificate], *, folder: Path, alias: str, password: str
    ) -> Self:
        """Makes both stores in the folder; stores that are there are replaced, each in one step."""
        key, trust = folder / "keystore.p12", folder / "truststore.p12"
        write_private(key, keystore(leaf, alias=alias, password=password))
        write_private(trust, truststore(trusted, password=password))
        return cls(key, trust, password)

    @property
    def keystore_properties(self) -> Properties:
        """`ssl.keystore.*` and `ssl.key.password`."""
        return {
            "ssl.keystore.location": str(self.keystore),
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.password": self.password,
            "ssl.key.password": self.password,
        }

    @property
    def truststore_properties(self) -> Properties:
        """`ssl.truststore.*`."""
        return {
            "ssl.truststore.location": str(self.truststore),
            "ssl.truststore.type": "PKCS12",
            "ssl.truststore.password": self.password,
        }


def _encryption(password: str, rounds: int) -> KeySerializationEncryption:
    return (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(rounds)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        .hmac_hash(hashes.SHA256())
        .build(password.encode())
    )
