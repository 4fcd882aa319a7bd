"""The table as an SVG picture for a README: `python -m kafkaos.reporting.picture RUN FILE`."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI

from kafkaos.checks import Verdict
from kafkaos.history import Recording, load
from kafkaos.reporting.table import Totals, guarantees_table, totals_table

WIDTH_COLUMNS = 118


def picture(title: str, recording: Recording, verdicts: list[Verdict]) -> str:
    """One run's guarantees and counts as SVG; fonts are the reader's own, nothing is loaded from elsewhere."""
    console = Console(file=io.StringIO(), record=True, width=WIDTH_COLUMNS, force_terminal=True)
    console.print(guarantees_table(title, verdicts))
    console.print(totals_table([("all clients", Totals.of(recording, verdicts))]))
    svg = console.export_svg(title="kafkaos", theme=DIMMED_MONOKAI)
    return re.sub(r"@font-face\s*\{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code", "ui-monospace")


def main() -> None:
    """Draw the run's folder of the first argument into the file of the second."""
    from kafkaos.run import verdicts_of

    folder, target = Path(sys.argv[1]), Path(sys.argv[2])
    recording = load(folder)
    title = f"cluster {recording.meta['cluster']['name']}, seed {recording.meta['seed']}"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(picture(title, recording, list(verdicts_of(folder))))


if __name__ == "__main__":
    main()
