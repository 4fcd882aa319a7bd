"""Settings by environment, as a deployment gives them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streaming.settings import properties


@dataclass(frozen=True)
class Settings:
    """What differs between deployments."""

    client: dict[str, str]
    """librdkafka's properties: bootstrap servers and security."""
    orders: str
    invoices: str
    group: str
    instance: str
    """Stable over restarts, and of one process alone: its transactional id ends what a dead predecessor left open."""
    incarnation: int
    """How often it was restarted: no number of a transaction is given twice."""

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """`BILLING_…` variables, and `KAFKAOS_CLIENT_CONFIG`: a properties file with what clients need to connect."""
        return cls(
            client=properties(Path(environment["KAFKAOS_CLIENT_CONFIG"])),
            orders=environment.get("BILLING_ORDERS", "orders"),
            invoices=environment.get("BILLING_INVOICES", "invoices"),
            group=environment.get("BILLING_GROUP", "billing"),
            instance=environment.get("BILLING_INSTANCE", "0"),
            incarnation=int(environment.get("KAFKAOS_INCARNATION", "0")),
        )
