"""SASL_SSL with SCRAM on the clients' listener: users, their credentials, and the properties of both sides.

Brokers and controllers speak TLS among themselves, so that a cluster forms before any user exists; the users are then
made by Kafka's own request over the brokers' listener. Only salted hashes go over it, never a password, and no
command line ever holds one.
"""

from __future__ import annotations

import hashlib
import secrets
import ssl
import warnings
from typing import Literal

from kafkaos.backends.ask import ask

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka.protocol.admin import AlterUserScramCredentialsRequest, DescribeUserScramCredentialsRequest

Mechanism = Literal["SCRAM-SHA-256", "SCRAM-SHA-512"]
LISTENER = "client"
# Kafka's least. The passwords of the harness are random: rounds would protect nothing, only slow each login down.
ITERATIONS = 4096
LOGIN_MODULE = "org.apache.kafka.common.security.scram.ScramLoginModule"
_KINDS: dict[Mechanism, tuple[int, str]] = {"SCRAM-SHA-256": (1, "sha256"), "SCRAM-SHA-512": (2, "sha512")}


def broker_properties(mechanism: Mechanism) -> dict[str, str]:
    """What a broker is told about its clients' listener."""
    return {
        f"listener.name.{LISTENER}.sasl.enabled.mechanisms": mechanism,
        f"listener.name.{LISTENER}.{mechanism.lower()}.sasl.jaas.config": f"{LOGIN_MODULE} required;",
    }


def librdkafka_properties(mechanism: Mechanism, user: str, password: str) -> dict[str, str]:
    """What a librdkafka client adds to its TLS settings."""
    return {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": mechanism,
        "sasl.username": user,
        "sasl.password": password,
    }


def java_properties(mechanism: Mechanism, user: str, password: str) -> dict[str, str]:
    """What a Java client adds to its TLS settings."""
    return {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": mechanism,
        "sasl.jaas.config": f'{LOGIN_MODULE} required username="{quoted(user)}" password="{quoted(password)}";',
    }


def set_password(
    address: str,
    mechanism: Mechanism,
    user: str,
    password: str,
    iterations: int,
    *,
    timeout_s: float,
    tls: ssl.SSLContext | None,
) -> None:
    """Ask a broker, at its own listener, to make the user or to give it another password.

    OSError when that broker does not answer or the cluster did not take it (yet).
    """
    number, digest = _KINDS[mechanism]
    salt = secrets.token_bytes(32)
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), salt, iterations)
    kind = AlterUserScramCredentialsRequest
    upsertion = kind.ScramCredentialUpsertion(
        name=user, mechanism=number, iterations=iterations, salt=salt, salted_password=salted, version=0
    )
    answer = ask(address, kind(version=0, deletions=[], upsertions=[upsertion]), timeout_s=timeout_s, tls=tls)
    for result in answer.results:
        if result.error_code:
            raise OSError(f"{address} did not take {user}: error {result.error_code}, {result.error_message}")


def knows(
    address: str,
    mechanism: Mechanism,
    user: str,
    iterations: int,
    *,
    timeout_s: float,
    tls: ssl.SSLContext | None,
) -> bool:
    """Whether this broker has the user's credentials with so many rounds.

    Brokers learn of a change one after the other. A password cannot be asked for, but the number of rounds can: one
    more at every change tells the old credentials from the new ones.
    """
    kind = DescribeUserScramCredentialsRequest
    request = kind(version=0, users=[kind.UserName(name=user, version=0)])
    answer = ask(address, request, timeout_s=timeout_s, tls=tls)
    return any(
        info.mechanism == _KINDS[mechanism][0] and info.iterations == iterations
        for result in answer.results
        for info in result.credential_infos
    )


def quoted(text: str) -> str:
    """What stands between the quotes of a JAAS login."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
