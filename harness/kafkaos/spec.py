"""What a cluster is to be: one TOML file, read strictly."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from kafkaos.errors import WrongUse
from kafkaos.shipped import near, read_toml, shipped
from kafkaos.tls.profiles import load_profile

DEFAULT_KAFKA_VERSION = "4.3.1"
PLAIN = "plain"


def _version(value: str) -> str:
    # Anything else would be asked of Maven.
    if re.fullmatch(r"\d+\.\d+\.\d+([-.][A-Za-z0-9.-]+)?", value) is None:
        raise ValueError(
            f"`{value}` is no version of Kafka: write it as X.Y.Z, such as {DEFAULT_KAFKA_VERSION}"
        )
    return value


def _word(value: str) -> str:
    # Folders are named for it.
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", value) is None:
        raise ValueError(f"`{value}` is no name: take letters, digits, dots and dashes")
    return value


class ClusterSpec(BaseModel):
    """A cluster file. Keys that it does not have are an error that names the nearest one."""

    # Strict: TOML has types of its own, and `brokers = true` is no number.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, AfterValidator(_word)] = ""
    description: str = ""
    brokers: int = Field(default=1, ge=1, le=9)
    controllers: Literal["own", "combined", "zookeeper"] = "combined"
    """`own`: one controller in a JVM of its own, so that two dead brokers of three are not a dead quorum.
    `zookeeper`: one of the brokers is the controller, as before Kafka 4."""
    security: str = PLAIN
    """`plain`, or the name of a TLS profile."""
    sasl: Literal["SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """Clients log in by SASL_SSL with this mechanism; the nodes speak TLS among themselves."""
    kafka: Annotated[str, AfterValidator(_version)] = DEFAULT_KAFKA_VERSION
    timeouts: Literal["short", "production"] = "short"
    """`short` sessions and lags make runs fast; `production` leaves Kafka's own."""
    client_port: int | None = Field(default=None, ge=1, le=65535)
    """The port for clients; without it a free one is chosen."""
    links: Literal["relay", "firewall", "none"] = "relay"
    """Traffic goes over links that faults cut and slow, all in the relay or (`firewall`, which needs root and nft) with
    packets dropped by the kernel; with `none` it goes straight."""
    heap_mb: int = Field(default=256, ge=96)
    log_dirs: int = Field(default=1, ge=1, le=4)
    """Folders for data that each broker has; the first holds the metadata too, and a broker survives the loss of
    another one."""
    disk_mb: int | None = Field(default=None, ge=32)
    """A file system of so many MB for each log directory (a tmpfs: needs root), so that it can be full."""
    properties: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Any other server property; wins over those of kafkaos."""

    @model_validator(mode="after")
    def _properties_do_not_break_the_wiring(self) -> ClusterSpec:
        taken = {
            "node.id",
            "process.roles",
            "listeners",
            "advertised.listeners",
            "log.dirs",
            "controller.quorum.voters",
        }
        clash = sorted(taken & self.properties.keys())
        if clash:
            raise ValueError(f"{', '.join(clash)} cannot be set: kafkaos wires the nodes itself")
        return self

    @model_validator(mode="after")
    def _zookeeper_is_of_the_past(self) -> ClusterSpec:
        if self.controllers == "zookeeper" and (self.sasl or not self.kafka.startswith("3.")):
            raise ValueError('controllers = "zookeeper" needs kafka = "3.9.1", and knows no sasl')
        return self

    @model_validator(mode="after")
    def _passwords_are_not_sent_in_the_clear(self) -> ClusterSpec:
        if self.sasl and self.security == PLAIN:
            raise ValueError(f'sasl = "{self.sasl}" needs TLS: set security = "tls" or "mtls" with it')
        return self


def check_security(name: str) -> None:
    """WrongUse for what is neither `plain` nor a TLS profile that can be read."""
    if name != PLAIN:
        load_profile(name)


def check_version(kafka: str) -> None:
    """WrongUse for what cannot be a version of Kafka."""
    try:
        _version(kafka)
    except ValueError as error:
        raise WrongUse(f"{error}.") from None


def cluster_names() -> list[str]:
    """The clusters that kafkaos ships."""
    return sorted(path.stem for path in shipped("clusters").glob("*.toml"))


def load_spec(name_or_path: str) -> ClusterSpec:
    """A shipped cluster by name, or a TOML file by path; WrongUse naming file, key and the nearest valid one."""
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = shipped("clusters") / f"{name_or_path}.toml"
        if not path.exists():
            raise WrongUse(
                f"There is no cluster `{name_or_path}`{near(name_or_path, cluster_names())} "
                "A file of your own is given by its path, ending in .toml."
            )
    spec = read_toml(path, ClusterSpec)
    try:
        check_security(spec.security)
    except WrongUse as error:
        raise WrongUse(f"{path}: {error}") from None
    return spec if spec.name else spec.model_copy(update={"name": path.stem})
