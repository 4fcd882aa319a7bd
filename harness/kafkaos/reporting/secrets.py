"""Nothing that lets somebody in leaves a run's folder by a report: passwords, tokens and keys are blotted out; and
no path that tells who ran it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

HIDDEN = "(hidden)"

_SECRET_NAME = re.compile(
    r"password|passwd|secret|token|credential|jaas|private.?key|key\.pem", re.IGNORECASE
)
_ASSIGNED = re.compile(
    r"""(?P<name>[\w.\-]*(?:password|passwd|secret|token|credential|jaas\.config)[\w.\-]*)"""
    r"""(?P<sign>["']?\s*[:=]\s*)(?P<value>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[^\s,;}\]]+)""",
    re.IGNORECASE,
)
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)

_HOME = re.compile(rf"(?<![\w./-]){re.escape(str(Path.home()))}(?=/)")


def clean_text(text: str) -> str:
    """The text without the values of secret settings and without private keys."""
    return _ASSIGNED.sub(rf"\g<name>\g<sign>{HIDDEN}", _PEM.sub(HIDDEN, text))


def clean(value: Any) -> Any:
    """A JSON value without secrets, by the names of its keys and by what its texts look like."""
    if isinstance(value, dict):
        return {k: HIDDEN if _SECRET_NAME.search(str(k)) else clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return clean_text(value) if isinstance(value, str) else value


def without_home(text: str) -> str:
    """The text with `~` for the home folder, whose name is often a person's."""
    return _HOME.sub("~", text)
