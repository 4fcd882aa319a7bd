"""The world of the visits scenarios."""

from streaming.fixtures import stream_python, world

__all__ = ["stream_python", "world"]
