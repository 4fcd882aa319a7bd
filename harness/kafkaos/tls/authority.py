"""A cluster's own certificate authority, by trustme, and the foreign one that nobody trusts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from kafkaos.tls.profiles import Profile

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

ORGANIZATION = "kafkaos"
WRONG_HOST = "wrong-host.invalid"  # RFC 2606: .invalid is never a real host

_KEY_TYPES = {"ec": trustme.KeyType.ECDSA, "rsa": trustme.KeyType.RSA}


@dataclass(frozen=True)
class Leaf:
    """A certificate with its private key and the authority that signed it."""

    key: PrivateKey
    certificate: x509.Certificate
    authority: x509.Certificate

    @property
    def key_pem(self) -> bytes:
        """PKCS8, unencrypted: the form that OpenSSL as well as Kafka's own PEM store reads."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def certificate_pem(self) -> bytes:
        """The certificate alone; its authority is a root and belongs into truststores."""
        return self.certificate.public_bytes(Encoding.PEM)


class Authority:
    """Issues certificates; its private key stays in memory and is never written."""

    def __init__(self, *, key_type: str = "ec") -> None:
        self._ca = trustme.CA(organization_name=ORGANIZATION, key_type=_KEY_TYPES[key_type])

    @cached_property
    def certificate(self) -> x509.Certificate:
        """The root that truststores hold."""
        return x509.load_pem_x509_certificate(self._ca.cert_pem.bytes())

    @property
    def pem(self) -> bytes:
        """The root as PEM."""
        return self._ca.cert_pem.bytes()

    def server(self, name: str, *, hosts: Sequence[str], profile: Profile) -> Leaf:
        """A broker's certificate for its DNS names and IP addresses, with the profile's dates and defects."""
        names = [WRONG_HOST] if profile.hostname == "wrong" else list(hosts)
        return self._issue(name, names, unit="brokers", profile=profile)

    def client(self, name: str, *, profile: Profile) -> Leaf:
        """A client's certificate; the profile gives its dates and key."""
        return self._issue(name, [name], unit="clients", profile=profile)

    def _issue(self, name: str, hosts: Sequence[str], *, unit: str, profile: Profile) -> Leaf:
        now = datetime.now(UTC)
        leaf = self._ca.issue_cert(
            *hosts,
            common_name=name,
            organization_name=ORGANIZATION,
            organization_unit_name=unit,
            not_before=now + profile.not_before,
            not_after=now + profile.not_after,
            key_type=_KEY_TYPES[profile.key_type],
        )
        key = load_pem_private_key(leaf.private_key_pem.bytes(), password=None)
        assert isinstance(key, PrivateKey)
        return Leaf(key, x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()), self.certificate)


def principal(certificate: x509.Certificate) -> str:
    """The Kafka principal of a certificate, as ACLs and `super.users` name it: `User:CN=…,OU=…,O=…`."""
    return f"User:{certificate.subject.rfc4514_string()}"
