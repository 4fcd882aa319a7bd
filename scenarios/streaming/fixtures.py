"""The fixtures of both stream applications' scenarios; each folder's conftest names them."""

import pytest

from kafkaos.apps.venv import environment
from streaming.world import REQUIREMENTS, World


@pytest.fixture(scope="session")
def stream_python(kafkaos_session):
    """The Python of the stream applications' own environment."""
    return environment(REQUIREMENTS, progress=kafkaos_session.progress)


@pytest.fixture
def world(stream_python, kafka_cluster, chaos):
    """The cluster, the run and the environment that an application is started in."""
    return World(kafka_cluster, chaos, stream_python)
