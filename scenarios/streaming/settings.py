"""Settings by environment, as a deployment gives them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What differs between deployments of one stream application."""

    client: dict[str, str]
    """librdkafka's properties: bootstrap servers and security."""
    group: str
    instance: str
    """Stable over restarts: the broker hands the partitions back at once and fences what is left of a dead one."""
    state_folder: Path
    guarantee: str
    commit_interval_s: float

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ, *, group: str) -> "Settings":
        """`STREAM_…` variables, and `KAFKAOS_CLIENT_CONFIG`: a properties file with what clients need to connect."""
        return cls(
            client=properties(Path(environment["KAFKAOS_CLIENT_CONFIG"])),
            group=environment.get("STREAM_GROUP", group),
            instance=environment.get("STREAM_INSTANCE", "0"),
            state_folder=Path(environment.get("STREAM_STATE", "state")),
            guarantee=environment.get("STREAM_GUARANTEE", "exactly-once"),
            commit_interval_s=float(environment.get("STREAM_COMMIT_INTERVAL_S", "1")),
        )


def properties(path: Path) -> dict[str, str]:
    """`name=value` lines; empty lines and comments are left out."""
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}
