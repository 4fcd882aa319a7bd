"""Reports of a real session, one guarantee of it broken on purpose: terminal, Allure, and the pages in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from kafkaos.cli import execute

SEED = 8
SOURCE = '''
"""Orders over mutual TLS."""
import json
from pathlib import Path
import pytest
from confluent_kafka import Producer
from kafkaos.checks import no_acknowledged_loss, no_phantom, recovered
from kafkaos.faults import Kill
from kafkaos.faults.roles import leader

def note_secrets(cluster):
    """The passwords of this cluster, for the test that looks for them in the reports."""
    given = {**cluster.client_config(), **cluster.java_config()}
    secrets = [value for name, value in given.items() if "password" in name]
    assert secrets
    Path("secrets.json").write_text(json.dumps(secrets))

@pytest.mark.scenario("A7")
@pytest.mark.kafka_cluster("single-mtls")
def test_orders_survive_a_restart(kafka_cluster, chaos):
    """Orders are all there after the broker was killed."""
    note_secrets(kafka_cluster)
    topic = kafka_cluster.create_topic("orders", partitions=3)
    producer = chaos.producer(topic, rate=500)
    producer.wait_acknowledged(500, timeout_s=60)
    with chaos.fault(Kill(leader(topic, partition=0))):
        pass
    producer.wait_acknowledged(500, after=producer.mark(), timeout_s=60)
    chaos.verify(no_acknowledged_loss, recovered(within="60s"))

@pytest.mark.kafka_cluster("single-mtls")
def test_only_known_orders_are_read(kafka_cluster, chaos):
    """Nobody but the producer writes orders."""
    topic = kafka_cluster.create_topic("orders")
    chaos.producer(topic, rate=500, count=50).wait_acknowledged(50, timeout_s=60)
    stranger = Producer(kafka_cluster.client_config())
    stranger.produce(topic, b"nobody of this run sent me")
    assert stranger.flush(60) == 0
    chaos.verify(no_acknowledged_loss, no_phantom)

@pytest.mark.kafka_cluster("single-mtls")
def test_recovery_needs_a_fault(kafka_cluster, chaos):
    """Without a fault nothing is known of recovery."""
    topic = kafka_cluster.create_topic("orders")
    chaos.producer(topic, rate=500, count=50).wait_acknowledged(50, timeout_s=60)
    chaos.verify(recovered(within="5s"))
'''
BROKEN = "test_mine.py::test_only_known_orders_are_read[single-mtls]"


@dataclass(frozen=True)
class Ran:
    """A session that is over: where it ran, what it wrote, what it said."""

    folder: Path
    out: Path
    said: str

    @property
    def results(self) -> dict[str, dict]:
        """Allure's results by the name of the test."""
        found = [json.loads(path.read_text()) for path in (self.out / "allure-results").glob("*-result.json")]
        return {result["fullName"].rpartition("#")[2]: result for result in found}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """One worker of pytest-xdist, so that everything told travelled between processes."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "test_mine.py").write_text(SOURCE)
    out = folder / "out"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "1", "--kafka-seed", str(SEED),
         "--kafka-out", str(out), "--alluredir", str(out / "allure-results")],
        cwd=folder, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    return Ran(folder, out, done.stdout)


@pytest.fixture(scope="module")
def report(ran: Ran) -> Path:
    """Both reports about the session, with the same session as yesterday's for a history."""
    yesterday = ran.folder / "yesterday"
    shutil.copytree(ran.out, yesterday)
    assert execute(["report", str(yesterday), str(ran.out), "--single-file"]) == 0
    return ran.out / "report"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's own Chromium; `make machine` installs one."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found, "no Chromium: run `make machine`"
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page that has no network, and that made no error when the test is over."""
    context = browser.new_context(viewport={"width": request.param, "height": 900}, offline=True)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


def test_the_terminal_tells_each_verdict_in_words_and_how_to_see_it_again(ran: Ran) -> None:
    """With pytest-xdist too: one line a scenario, the news first, the table, one command for each that did not hold."""
    lines = ran.said[ran.said.index("kafkaos: scenarios") :].splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["BROKE", "unknown", "held"]
    assert "only_known_orders_are_read[single-mtls]" in lines[1]
    assert "no_phantom: 1 " in lines[1]
    assert f"  pytest '{BROKEN}' --kafka-seed {SEED}" in lines
    assert "duplicated" in ran.said


def test_allure_is_told_what_was_tried_and_what_held(ran: Ran) -> None:
    """Guarantees are epics, faults are features; a broken guarantee failed, an unknown one is broken."""
    held, broke, unknown = (
        ran.results[name]
        for name in (
            "test_orders_survive_a_restart",
            "test_only_known_orders_are_read",
            "test_recovery_needs_a_fault",
        )
    )
    assert [r["status"] for r in (held, broke, unknown)] == ["passed", "failed", "broken"]
    labels = {(label["name"], label["value"]) for label in held["labels"]}
    assert ("epic", "Every acknowledged record is in the log at the end") in labels
    assert ("feature", "kill -9 of a node") in labels
    assert ("story", "orders_survive_a_restart") in labels
    assert ("severity", "critical") in labels
    assert ("tag", "A7") in labels
    steps = [step["name"] for step in held["steps"]]
    first, *others = [step for step in steps if not step.startswith("wait ")]
    assert first.startswith("steady state: producer-1 acknowledged ")
    assert others[:3] == ["inject: kill -9 of a node", "evidence that it bit", "while it lasts"]
    assert others[-3:] == ["drain", "read the final truth", "check"]
    excluded = {p["name"] for p in held["parameters"] if p.get("excluded")}
    assert "seed" in excluded
    attached = {attachment["name"] for attachment in broke["attachments"]}
    assert {"timeline", "timeline to point at", "witnesses", "plan", "run it again", "settings and versions",
            "recording (kafkaos check FILE)", "broker-1.log, around the faults"} <= attached  # fmt: skip
    assert "1 record" in broke["description"] or "no_phantom" in broke["description"]
    assert f"seed = {SEED}" in (ran.out / "allure-results" / "environment.properties").read_text()
    assert (ran.out / "allure-results" / "categories.json").exists()


def test_no_secret_is_in_a_report(ran: Ran, report: Path) -> None:
    """No password of the cluster and no private key is in Allure's results, in its report or in the page."""
    secrets = [*json.loads((ran.folder / "secrets.json").read_text()), "PRIVATE KEY"]
    places = [ran.out / "allure-results", report, ran.out / "results.jsonl"]
    files = [
        file
        for place in places
        for file in ([place] if place.is_file() else place.rglob("*"))
        if file.is_file()
    ]
    assert len(files) > 20
    leaks = [
        (file.name, secret) for file in files for secret in secrets if secret.encode() in file.read_bytes()
    ]
    assert leaks == []


def test_the_page_tells_the_session_and_filters_it(page: Page, report: Path) -> None:
    """Counts, the news first, history; a click leaves the broken ones; nothing is wider than the screen."""
    page.goto((report / "kafkaos.html").as_uri())
    rows = page.locator("#scenarios tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("BROKE")
    expect(rows.first.locator(".history i.broke")).to_have_count(2)
    page.get_by_role("button", name="BROKE").click()
    expect(page.locator("#scenarios tbody tr:visible")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_failed_scenario_shows_its_witness_and_the_moment_under_the_pointer(
    page: Page, report: Path
) -> None:
    """From the overview to the lost record; the timeline tells rates and leaders where one points at it."""
    page.goto((report / "kafkaos.html").as_uri())
    page.get_by_role("link", name="only known orders are read[single-mtls]").first.click()
    scenario = page.locator("section.scenario:target")
    expect(scenario).to_contain_text("no_phantom")
    expect(scenario).to_contain_text("orders-0 at offset 50")
    expect(page.locator("#overview")).to_be_hidden()
    picture = scenario.locator(".picture")
    picture.scroll_into_view_if_needed()
    box = picture.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(picture.locator(".told")).to_contain_text("acknowledged")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_passed_scenario_shows_the_fault_and_that_it_bit(page: Page, report: Path) -> None:
    """What was tried and what proved it, for a run in which everything held."""
    page.goto((report / "kafkaos.html").as_uri())
    page.get_by_role("link", name="orders survive a restart[single-mtls]").first.click()
    scenario = page.locator("section.scenario:target")
    expect(scenario).to_contain_text("evidence that it bit")
    expect(scenario).to_contain_text("ended by SIGKILL")
    expect(scenario.locator("svg:visible")).to_have_count(1)


def test_allure_opens_offline_with_verdicts_steps_and_history(page: Page, report: Path) -> None:
    """One file: the broken scenario, its category, its command, and yesterday's result."""
    page.goto((report / "allure" / "index.html").as_uri())
    page.get_by_text("Nobody but the producer writes orders.").first.click()
    expect(page.get_by_text("GuaranteeBroken").first).to_be_visible()
    expect(page.get_by_text("A guarantee broke").first).to_be_visible()
    expect(page.get_by_text(f"--kafka-seed {SEED}").first).to_be_attached()
    expect(page.get_by_text("History").first).to_contain_text("1")


def test_the_command_of_the_page_shows_the_failure_again(browser: Browser, ran: Ran, report: Path) -> None:
    """What a reader copies from the failed scenario's page alone breaks the same guarantee again."""
    context = browser.new_context()
    page = context.new_page()
    page.goto((report / "kafkaos.html").as_uri())
    page.locator("tr[data-outcome=broke] a").click()
    scenario = page.locator("section.scenario:target")
    scenario.get_by_role("button", name="Copy").click()
    expect(scenario.get_by_role("button", name="Copied")).to_be_visible()
    command = scenario.locator(".command code").inner_text()
    context.close()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, shell=True, cwd=ran.folder, env={**os.environ, "PATH": path},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert re.search(r"^BROKE +only_known_orders_are_read", done.stdout, re.MULTILINE)
