"""The world of the purchases scenarios."""

from streaming.fixtures import stream_python, world

__all__ = ["stream_python", "world"]
