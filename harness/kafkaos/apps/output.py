"""What one incarnation of an application printed: its stdout, read as it grows.

The file is the application's own stdout, so that what was printed survives a `kill -9`; a last line without its end
was cut off by that and is no line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kafkaos.apps.lines import Line, as_line, as_object

TOLD_LINES = 10


class Output:
    """Reads on where it stopped; every JSON object is kept, everything else only counted."""

    def __init__(self, path: Path, *, who: str) -> None:
        self.path = path
        self.objects: list[dict[str, Any]] = []
        self.lines: list[Line] = []
        self.broken = 0
        """Lines that begin like a JSON object and are none."""
        self._who = who
        self._read_bytes = 0
        self._line_number = 0

    def read(self, *, ended: bool = False) -> None:
        """Take in what is new; `ended` has it count a last line that was cut off.

        Raises BrokenRecording for a known line with wrong fields; such a line is raised once, at its first reading.
        """
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._read_bytes)
            data = file.read()
        whole, newline, cut = data.rpartition(b"\n")
        if newline:
            for text in whole.split(b"\n"):
                self._read_bytes += len(text) + 1
                self._take(text)
        if ended and cut:
            self._read_bytes += len(cut)
            self.broken += cut.lstrip().startswith(b"{")

    def _take(self, text: bytes) -> None:
        self._line_number += 1
        try:
            found = as_object(text)
        except ValueError:
            self.broken += 1
            return
        if found is None:
            return
        self.objects.append(found)
        line = as_line(found, where=f"line {self._line_number} of {self._who} ({self.path})")
        if line is not None:
            self.lines.append(line)


def last_lines(*paths: Path, count: int = TOLD_LINES) -> str:
    """The end of the first of these files that has something in it, for an error message."""
    for path in paths:
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        told = [line.rstrip() for line in lines if line.strip()][-count:]
        if told:
            return "\n".join(told)
    return "it printed nothing"
