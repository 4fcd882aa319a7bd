"""The backends by name; nothing else, so that telling their names costs no import of what they need."""

from typing import Literal, get_args

Backend = Literal["process", "docker", "external"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
DEFAULT_BACKEND: Backend = "process"
