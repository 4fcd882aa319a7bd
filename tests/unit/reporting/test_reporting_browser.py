"""The page of our own in a real browser, with no network, at the width of a desk and of a phone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from kafkaos.cli import execute
from kafkaos.reporting import results
from kafkaos.reporting.results import Result, of_run


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def page(browser: Browser, run_folder: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The report of two sessions, opened; whatever its script did wrong fails the test."""
    out = run_folder.parents[1]
    for session in (out.parent / "yesterday", out):
        broke = of_run(run_folder, run_folder).to_json() | {
            "folder": "runs/broke",
            "title": "Orders are all there.",
        }
        results.append(session, Result.from_json(broke))
        held = Result(
            test="t.py::test_held[single]", outcome="held", sentence="All held.", seed=8, reproduce="x"
        )
        results.append(session, held)
    assert execute(["report", str(out.parent / "yesterday"), str(out), "--html"]) == 0
    context = browser.new_context(viewport={"width": request.param, "height": 900}, offline=True)
    context.set_default_timeout(60_000)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((out / "report" / "kafkaos.html").as_uri())
    yield page
    context.close()
    assert errors == []


def test_the_overview_tells_the_news_first_and_filters_it(page: Page) -> None:
    """Verdicts, history, and a click that leaves the broken ones; nothing is wider than the screen."""
    rows = page.locator("#scenarios tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("BROKE")
    expect(rows.first.locator(".history i.broke")).to_have_count(2)
    page.get_by_role("button", name="BROKE").click()
    expect(page.locator("#scenarios tbody tr:visible")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_failed_scenario_tells_witness_command_and_the_moment_under_the_pointer(
    page: Page, run_folder: Path
) -> None:
    """From the overview to the lost record, to one command that can be copied, and into the timeline."""
    page.locator("tr[data-outcome=broke] a").click()
    scenario = page.locator("section.scenario:target")
    expect(scenario).to_contain_text("orders-0 at offset 7")
    expect(scenario).to_contain_text("broker-1 ended by SIGKILL")
    expect(page.locator("#overview")).to_be_hidden()
    scenario.get_by_role("button", name="Copy").click()
    expect(scenario.get_by_role("button", name="Copied")).to_be_visible()
    meta = json.loads((run_folder / "recording.json").read_text())
    expect(scenario.locator(".command code")).to_have_text(meta["settings"]["reproduce"])
    expect(scenario.locator("svg:visible")).to_have_count(1)
    picture = scenario.locator(".picture")
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(picture.locator(".told")).to_contain_text("orders-0: leader 2, ISR 2 3")
    expect(picture.locator(".told")).to_contain_text("fault: kill of the leader of orders-0")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_no_word_of_the_timeline_lies_on_another_or_is_cut_off(page: Page) -> None:
    """Titles, ticks, legend, faults and names each have room, at both widths; titles are readable on every ground."""
    page.locator("tr[data-outcome=broke] a").click()
    picture = page.locator("section.scenario:target svg:visible")
    words, overlapping, outside = picture.evaluate(
        """svg => {
          const texts = [...svg.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()]);
          const all = svg.getBoundingClientRect(), overlapping = [];
          texts.forEach(([one, a], n) => texts.slice(n + 1).forEach(([other, b]) => {
            if (a.left < b.right && b.left < a.right && a.top + 2 < b.bottom - 2 && b.top + 2 < a.bottom - 2)
              overlapping.push([one, other]);
          }));
          const outside = texts.filter(([, a]) => a.left < all.left || a.right > all.right || a.bottom > all.bottom);
          return [texts.map(([text]) => text), overlapping, outside.map(([text]) => text)];
        }"""
    )
    assert {"records a second", "orders-0", "1 ms", "kill of the leader of orders-0"} <= set(words)
    assert (overlapping, outside) == ([], [])
