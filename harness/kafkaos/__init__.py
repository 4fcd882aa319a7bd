"""kafkaos: a pytest-driven chaos harness for Apache Kafka."""


def __getattr__(name: str) -> str:
    """`__version__` only when asked for: looking it up is most of the start of a small process such as the relay."""
    if name == "__version__":
        from importlib.metadata import version

        return version("kafkaos")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
