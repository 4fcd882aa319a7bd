"""The fixture of the client registry's scenarios."""

from __future__ import annotations

from typing import Any

import pytest
from registry_world import Registries


@pytest.fixture
def world(kafka_cluster: Any, chaos: Any) -> Registries:
    """Registries and writers of this run."""
    return Registries(kafka_cluster, chaos)
