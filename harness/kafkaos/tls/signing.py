"""A local authority for somebody's own cluster: root, signing request, signed certificate.

Apart from `authority.py`, whose trustme roots are valid until the year 3000 and sign no requests: right for a
cluster that lives for minutes, wrong for one that stays.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kafkaos.tls.authority import PrivateKey

KeyType = Literal["ec", "rsa"]

_CLOCK_SKEW = timedelta(
    minutes=5
)  # machines whose clocks are a little behind must not refuse a fresh certificate


def new_key(key_type: KeyType) -> PrivateKey:
    """EC P-256, or RSA with 2048 bits."""
    if key_type == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_pem(key: PrivateKey) -> bytes:
    """PKCS8, unencrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True)
class Root:
    """A local certificate authority."""

    key: PrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls, name: str, *, key_type: KeyType, validity_days: int) -> Root:
        """A self-signed root that may sign certificates but no further authorities."""
        key = new_key(key_type)
        subject = _subject(name)
        certificate = (
            _dated(validity_days)
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    def sign(
        self, request: x509.CertificateSigningRequest, *, validity_days: int, server: bool
    ) -> x509.Certificate:
        """The certificate for a request, with its subject and names.

        `server`: for a broker, which is a client of the other brokers too; else for a client alone. Raises
        ValueError when the request is not signed by its own key.
        """
        if not request.is_signature_valid:
            raise ValueError("the signing request does not carry its own key's signature")
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        uses = [ExtendedKeyUsageOID.SERVER_AUTH] if server else []
        own_identifier = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return (
            _dated(validity_days)
            .subject_name(request.subject)
            .issuer_name(self.certificate.subject)
            .public_key(request.public_key())
            .add_extension(names.value, critical=names.critical)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([*uses, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(request.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own_identifier), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )


def signing_request(key: PrivateKey, *, names: Sequence[str]) -> x509.CertificateSigningRequest:
    """A request for the DNS names and IP addresses; the first is the subject's common name."""
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_subject(names[0]))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _dated(validity_days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=validity_days))
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
