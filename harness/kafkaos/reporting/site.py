"""Puts the reports of nightly jobs under one index: `python -m kafkaos.reporting.site JOBS-FOLDER SITE-FOLDER`."""

from __future__ import annotations

import json
import shutil
import sys
from html import escape
from pathlib import Path

from kafkaos.reporting.night import SUMMARY_JSON
from kafkaos.reporting.results import WORDS
from kafkaos.shipped import shipped


def build(jobs: Path, site: Path) -> Path:
    """The index. Of each job's folder its `report/` is taken over; one without is told as such."""
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(parents=True)
    rows = []
    for job in sorted(path for path in jobs.glob("*") if path.is_dir()):
        links = "no report"
        if (job / "report").is_dir():
            shutil.copytree(job / "report", site / job.name)
            pages = {"Allure": "allure/index.html", "one page": "kafkaos.html"}
            made = [(name, page) for name, page in pages.items() if (site / job.name / page).exists()]
            links = " · ".join(f'<a href="{escape(job.name)}/{page}">{name}</a>' for name, page in made)
        rows.append(f"<tr><td>{escape(job.name)}</td><td>{escape(_counts(job))}</td><td>{links}</td></tr>")
    style = (shipped("reports") / "page.css").read_text(encoding="utf-8")
    index = site / "index.html"
    index.write_text(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        'content="width=device-width, initial-scale=1"><title>kafkaos: nights</title>'
        f'<style>{style}</style></head><body><main><h1>kafkaos: the last night</h1><div class="card"><table>'
        f"<tbody>{''.join(rows)}</tbody></table></div></main></body></html>\n",
        encoding="utf-8",
    )
    return index


def _counts(job: Path) -> str:
    path = job / SUMMARY_JSON
    if not path.exists():
        return "did not end"
    counts = json.loads(path.read_text(encoding="utf-8"))["counts"]
    return ", ".join(f"{count} {WORDS[outcome]}" for outcome, count in counts.items()) or "nothing ran"


if __name__ == "__main__":
    print(build(Path(sys.argv[1]), Path(sys.argv[2])))
