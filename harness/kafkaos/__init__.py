"""kafkaos: a pytest-driven chaos harness for Apache Kafka."""

from importlib.metadata import version

__version__ = version("kafkaos")
