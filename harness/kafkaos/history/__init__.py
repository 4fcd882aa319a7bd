"""What happened: operations and outcomes, the crash-safe recording, and reading it back as columns.

What the clients import to write (`recorder`, `payload`, `rows`) needs numpy only; polars, which reads, is
imported on first use, so that a client process starts fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kafkaos.history.recording import Recording, archive, load, write_meta

__all__ = ["Recording", "archive", "load", "write_meta"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from kafkaos.history import recording

    return getattr(recording, name)
