"""Anomalies planted in a healthy recording: the first of the two controls that every check must pass.

Each mutation takes a recording and a seed, plants exactly one anomaly and says which fields a witness of it
must have. A check names in `mutations` those that it exists for; the healthy recording must leave it green.
"""

from __future__ import annotations

import random

from kafkaos.checks.mutations import (
    clients,
    groups,
    log,
    replicas,
    rereading,
    streams,
    transactions,
)  # they register their mutations
from kafkaos.checks.mutations.tools import MUTATIONS, Planted
from kafkaos.history import Recording

__all__ = [
    "MUTATIONS",
    "Planted",
    "clients",
    "groups",
    "log",
    "plant",
    "replicas",
    "rereading",
    "streams",
    "transactions",
]


def plant(name: str, recording: Recording, *, seed: int = 0) -> Planted:
    """Plant the mutation `name`; the same seed hurts the same record."""
    return MUTATIONS[name](recording, random.Random(f"{name} {seed}"))
