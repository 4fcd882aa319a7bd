"""The world of the visits scenarios."""

import pytest
from streaming.world import REQUIREMENTS, World

from kafkaos.apps.venv import environment


@pytest.fixture(scope="session")
def stream_python(kafkaos_session):
    """The Python of the stream applications' own environment."""
    return environment(REQUIREMENTS, progress=kafkaos_session.progress)


@pytest.fixture
def world(stream_python, kafka_cluster, chaos):
    """The visits application's cluster, run and environment."""
    return World(kafka_cluster, chaos, stream_python)
