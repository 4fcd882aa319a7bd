"""A TLS profile: who must show a certificate, and what is right or wrong with the brokers' own."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from kafkaos.errors import WrongUse
from kafkaos.shipped import near, read_toml, shipped

Protocol = Literal["TLSv1.2", "TLSv1.3"]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _offset(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"([+-]?\d+)([smhd])", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a time from now such as '30d', '-1h' or '90s'")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


FromNow = Annotated[timedelta, BeforeValidator(_offset)]


class Profile(BaseModel):
    """What `ssl/NAME.toml` says; the defects are those of the brokers' certificates, clients' are healthy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    description: str = ""
    client_auth: Literal["none", "required"] = "none"
    """`required` is mutual TLS: a client that shows no certificate of the cluster's authority is refused."""
    key_type: Literal["ec", "rsa"] = "ec"
    """`ec` is P-256; `rsa` is 2048 bits, and some 100 times slower to make."""
    not_before: FromNow = timedelta(days=-1)
    not_after: FromNow = timedelta(days=30)
    hostname: Literal["right", "wrong"] = "right"
    """`wrong`: the certificate names a host that no client connects to."""
    authority: Literal["own", "foreign"] = "own"
    """`foreign`: the certificate is signed by an authority that nobody of the cluster trusts."""
    protocols: tuple[Protocol, ...] = Field(default=("TLSv1.2", "TLSv1.3"), min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.not_before >= self.not_after:
            raise ValueError("`not_before` must lie before `not_after`")
        return self

    @property
    def healthy(self) -> bool:
        """Whether a client that does everything right can connect."""
        valid_now = self.not_before <= timedelta(0) < self.not_after
        return valid_now and self.hostname == "right" and self.authority == "own"

    def mended(self) -> Profile:
        """The same profile without its defects: what brokers need among themselves to form a cluster."""
        if self.healthy:
            return self
        return self.model_copy(
            update={
                "hostname": "right",
                "authority": "own",
                "not_before": Profile.model_fields["not_before"].default,
                "not_after": Profile.model_fields["not_after"].default,
            }
        )


def profile_names() -> list[str]:
    """The names of the shipped profiles, sorted."""
    return sorted(path.stem for path in shipped("ssl").glob("*.toml"))


def load_profile(name: str | Path) -> Profile:
    """The profile of a shipped name (`mtls`), or of a path that ends in .toml.

    Raises WrongUse for an unknown name, an unknown key or a value that does not fit.
    """
    if str(name).endswith(".toml"):
        return read_toml(Path(name), Profile)
    names = profile_names()
    if str(name) not in names:
        raise WrongUse(f"There is no TLS profile `{name}`{near(str(name), names)}")
    return read_toml(shipped("ssl") / f"{name}.toml", Profile)
