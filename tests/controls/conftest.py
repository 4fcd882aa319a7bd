"""Each live control gets a cluster of its own specification; controls of the same one share it."""

import pytest

from kafkaos.spec import ClusterSpec


@pytest.fixture
def kafka_cluster_spec(control) -> ClusterSpec:
    """The cluster that the control asks for."""
    return control.spec
