"""What a person asks of `kafkaos certs`, checked before anything is written."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kafkaos.errors import WrongUse
from kafkaos.tls.signing import KeyType

FORMATS = {"pkcs12": "p12", "jks": "jks"}
SHORTEST_PASSWORD = 6  # keytool refuses shorter ones
VALIDITY_DAYS_MAX = 36_500

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?"
_DNS_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")
_CLIENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Order:
    """The checked wishes; each host is its name followed by further names and addresses."""

    hosts: tuple[tuple[str, ...], ...]
    clients: tuple[str, ...]
    mutual: bool
    store_format: str
    validity_days: int
    password: str | None
    key_type: KeyType

    @property
    def suffix(self) -> str:
        """How the stores' file names end."""
        return FORMATS[self.store_format]


def check_order(
    folder: Path,
    *,
    hosts: Sequence[str],
    clients: Sequence[str],
    mutual: bool,
    store_format: str,
    validity_days: int,
    password: str | None,
    key_type: KeyType,
) -> Order:
    """The order, or WrongUse with the first thing that does not fit."""
    if store_format not in FORMATS:
        raise WrongUse(f"There is no store format `{store_format}`; choose one of {', '.join(FORMATS)}.")
    if key_type not in ("ec", "rsa"):
        raise WrongUse(f"There is no key type `{key_type}`; choose ec or rsa.")
    if not 1 <= validity_days <= VALIDITY_DAYS_MAX:
        raise WrongUse(f"A validity of {validity_days} days does not fit; choose 1 to {VALIDITY_DAYS_MAX}.")
    if password is not None and not re.fullmatch(rf"[!-~]{{{SHORTEST_PASSWORD},}}", password):
        raise WrongUse(
            f"The password does not fit: Java's stores take at least {SHORTEST_PASSWORD} printable ASCII "
            "characters without blanks; or leave it out to get a random one for each store."
        )
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        kind = "is a file" if folder.is_file() else "holds files already"
        raise WrongUse(f"{folder} {kind}, and keys are never overwritten; name a new or empty folder.")
    return Order(
        hosts=_distinct([_host(text) for text in hosts], what="host"),
        clients=tuple(name for (name,) in _distinct([(_client(text),) for text in clients], what="client")),
        mutual=mutual,
        store_format=store_format,
        validity_days=validity_days,
        password=password,
        key_type=key_type,
    )


def _host(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if not (is_address(name) or _DNS_NAME.fullmatch(name)):
            raise WrongUse(
                f"`{name}` in the host `{text}` is no host name and no IP address; write NAME[,IP…]."
            )
    if len(names[0]) > 64:  # the common name's limit in X.509
        raise WrongUse(f"The host name `{names[0]}` is longer than 64 letters; put a shorter one first.")
    return names


def _client(name: str) -> str:
    if not _CLIENT_NAME.fullmatch(name):
        raise WrongUse(
            f"`{name}` is no client name; use up to 64 letters, digits, dots, dashes, underscores."
        )
    return name


def _distinct(items: list[tuple[str, ...]], *, what: str) -> tuple[tuple[str, ...], ...]:
    if not items:
        raise WrongUse(f"No {what} was named; name at least one.")
    names = [item[0] for item in items]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise WrongUse(f"The {what} `{twice}` is named twice; name each once.")
    return tuple(items)


def is_address(name: str) -> bool:
    """Whether it is an IP address, not a DNS name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
