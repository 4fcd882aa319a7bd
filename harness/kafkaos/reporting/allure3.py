"""Allure 3 from its npm package: installed once into the user's cache, given results, made to render.

Node and npm must be on the machine; nothing else is asked of it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kafkaos.backends.places import cache_folder, locked
from kafkaos.errors import SetupFailed
from kafkaos.shipped import shipped

VERSION = "3.18.0"
NODE_MINIMUM = 20
INSTALL_LIMIT_S, RENDER_LIMIT_S = 300, 300
RESULTS_FOLDER = "allure-results"
# Allure 3 puts it into every report, and no setting of it leaves it out: a reader's browser would tell Google.
_TELEMETRY = re.compile(
    r"\s*<script async src=\"https://www\.googletagmanager\.com/.*?</script>\s*<script>\s*window\.dataLayer.*?</script>",
    re.DOTALL,
)

Progress = Callable[[str], None]


def lacking() -> str | None:
    """Why Allure cannot be used on this machine, in words; None where it can."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            return f"there is no {tool} on this machine"
    told = subprocess.run(
        ["node", "--version"], capture_output=True, text=True, timeout=30, check=False
    ).stdout
    found = re.match(r"v(\d+)\.", told)
    if found is None or int(found[1]) < NODE_MINIMUM:
        return f"Node is {told.strip() or 'broken'}, Allure needs {NODE_MINIMUM} or newer"
    return None


def install(progress: Progress) -> Path:
    """The `allure` command of the pinned version; installed at the first use. SetupFailed where npm cannot."""
    cache = cache_folder()
    folder = cache / f"allure-{VERSION}"
    command = folder / "node_modules" / ".bin" / "allure"
    with locked(cache / "allure.lock"):
        if command.exists():
            return command
        progress(f"installing Allure {VERSION} by npm into {folder} (once)")
        draft = Path(tempfile.mkdtemp(dir=cache, prefix="allure-draft-"))
        try:
            _run(
                ["npm", "install", "--prefix", str(draft), "--no-audit", "--no-fund", "--ignore-scripts",
                 "--loglevel=error", f"allure@{VERSION}"],
                limit_s=INSTALL_LIMIT_S,
                failed="npm could not install Allure; the first report needs a network, or use --html",
            )  # fmt: skip
            shutil.rmtree(folder, ignore_errors=True)
            draft.rename(folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return command


def render(
    runs: Sequence[Path],
    target: Path,
    *,
    history: Path,
    single_file: bool,
    title: str,
    progress: Progress,
) -> Path:
    """The report about the last of the runs' results, the others being its history; its index.html.

    `history` is Allure's own file: the runs are added to it in their order.
    """
    allure = install(progress)
    with tempfile.TemporaryDirectory(prefix="kafkaos-allure-") as scratch:
        for number, run in enumerate(runs):
            last = number == len(runs) - 1
            progress(f"Allure reads {run} ({number + 1} of {len(runs)})")
            output = Path(scratch) / f"report-{number}"
            config = _config(
                Path(scratch), output, history=history, single_file=single_file and last, title=title
            )
            _run(
                [str(allure), "generate", str(run.absolute()), "--config", str(config), "--cwd", scratch],
                limit_s=RENDER_LIMIT_S,
                failed=f"Allure could not render {run}; use --html for a page of kafkaos' own",
            )
            if not (output / "index.html").exists():  # Allure ends with 0 also where a plugin of it failed
                raise SetupFailed(f"Allure could not render {run}; use --html for a page of kafkaos' own")
            if last:
                silence(output / "index.html")
                shutil.rmtree(target, ignore_errors=True)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copytree(output, target)
    return target / "index.html"


def silence(page: Path) -> None:
    """Take out what tells somebody else of each reader; SetupFailed where the page has it in another form."""
    text = _TELEMETRY.sub("", page.read_text(encoding="utf-8"))
    if "googletagmanager" in text:
        raise SetupFailed(
            f"Allure {VERSION} made a page of an unknown form; use --html for a page of kafkaos' own"
        )
    page.write_text(text, encoding="utf-8")


def _config(scratch: Path, output: Path, *, history: Path, single_file: bool, title: str) -> Path:
    config: dict[str, Any] = json.loads((shipped("reports") / "allurerc.json").read_text(encoding="utf-8"))
    config |= {"name": title, "output": str(output)}
    config["categories"] = json.loads((shipped("reports") / "categories.json").read_text(encoding="utf-8"))
    config["plugins"]["awesome"]["options"] |= {"reportName": title, "singleFile": single_file}
    history.parent.mkdir(parents=True, exist_ok=True)
    config["historyPath"] = str(history)
    path = scratch / "allurerc.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def _environment() -> dict[str, str]:
    # Colours and telemetry are not for a program that reads the output.
    return {**os.environ, "NO_COLOR": "1", "FORCE_COLOR": "0", "ALLURE_NO_ANALYTICS": "true"}


def _run(command: Sequence[str], *, limit_s: float, failed: str) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit_s, env=_environment(),
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise SetupFailed(f"{failed} (no answer within {limit_s:.0f} s)") from None
    if done.returncode:
        lines = [line for line in _plain(done.stdout + done.stderr).splitlines() if line.strip()]
        raise SetupFailed(f"{failed} ({' '.join(lines[-3:]) or f'exit status {done.returncode}'})")


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
