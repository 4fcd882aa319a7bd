"""Opens one issue for each scenario that newly does not hold: `python -m kafkaos.reporting.issues NIGHTLY-FOLDER…`.

By GitHub's own command `gh`, which must be signed in. A scenario with an open issue gets no second one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from kafkaos.errors import KafkaosError, SetupFailed, WrongUse
from kafkaos.reporting.night import SUMMARY_JSON
from kafkaos.reporting.results import MEANINGS

LABEL = "nightly"
GH_LIMIT_S = 60


def open_issues(out: Path) -> list[str]:
    """The titles of the issues that were opened."""
    path = out / SUMMARY_JSON
    if not path.exists():
        raise WrongUse(f"There is no {path}: name the folder of `kafkaos nightly`.")
    told = json.loads(path.read_text(encoding="utf-8"))
    wanted = {f"nightly: {item['test']}": item for item in told["not_held"]}
    if not wanted:
        return []
    _gh("label", "create", LABEL, "--force", "--description", "found by the nightly chaos runs")
    listed = _gh("issue", "list", "--label", LABEL, "--state", "open", "--limit", "500", "--json", "title")
    known = {issue["title"] for issue in json.loads(listed)}
    opened = [title for title in wanted if title not in known]
    for title in opened:
        _gh("issue", "create", "--title", title, "--label", LABEL, "--body", _body(wanted[title], told))
    return opened


def _body(item: dict[str, Any], told: dict[str, Any]) -> str:
    return (
        f"`{item['test']}`: {MEANINGS[item['outcome']]}.\n\n{item['sentence']}\n\nShow it again:\n\n"
        f"```\n{item['reproduce']}\n```\n\nNight {told['night']}, seed {item['seed']}."
    )


def _gh(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["gh", *arguments], capture_output=True, text=True, timeout=GH_LIMIT_S, check=False
        )
    except FileNotFoundError:
        raise SetupFailed(
            "There is no `gh` on this machine: install GitHub's command line and sign in."
        ) from None
    except subprocess.TimeoutExpired:
        raise SetupFailed(f"`gh {arguments[0]}` did not answer within {GH_LIMIT_S} s: try again.") from None
    if done.returncode:
        raise SetupFailed(f"`gh {' '.join(arguments[:2])}` failed: {done.stderr.strip()}")
    return done.stdout


def main() -> int:
    """Of the folders that the arguments name."""
    try:
        for folder in sys.argv[1:]:
            for title in open_issues(Path(folder)):
                print(f"opened: {title}")
    except KafkaosError as error:
        print(f"kafkaos: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
