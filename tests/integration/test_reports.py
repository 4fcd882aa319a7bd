"""Reports of a real session, one scenario of it failed by a weak setting: in the terminal, as files, in a browser."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from kafkaos.cli import execute
from kafkaos.reporting.allure3 import lacking

SEED = 8
SOURCE = '''
"""Orders over mutual TLS."""
import json
from pathlib import Path
import pytest
from kafkaos.checks import at_least_once, no_acknowledged_loss, recovered
from kafkaos.faults import Kill, KillClient
from kafkaos.faults.roles import leader

pytestmark = pytest.mark.kafka_cluster("single-mtls")

def note_secrets(cluster):
    """Every password and every line of a key of the cluster and its clients, for the test that looks for them."""
    key = Path(cluster.client_config()["ssl.key.location"])
    folder = next(place for place in key.parents if place.name == "tls").parent
    lines = [line for path in folder.rglob("*.properties") for line in path.read_text().splitlines()]
    passwords = {line.partition("=")[2] for line in lines if "password" in line.partition("=")[0]}
    keys = {line for path in folder.rglob("key.pem") for line in path.read_text().splitlines()[1:-1]}
    assert passwords
    assert keys
    Path("secrets.json").write_text(json.dumps(sorted(passwords | keys)))

@pytest.mark.scenario("A7")
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

def test_orders_are_worked_off(kafka_cluster, chaos):
    """A worker that commits `before` it works skips what it had when it died."""
    topic = kafka_cluster.create_topic("orders")
    chaos.producer(topic, count=120).wait_acknowledged(120, timeout_s=60)
    worker = chaos.consumer(
        topic, name="worker", group="billing", commit="before", batch_records=100, processing_ms=20.0,
        group_instance_id="seat",
    )
    worker.wait_until(lambda: worker.processed >= 10, "in the middle of a batch", timeout_s=60)
    with chaos.fault(KillClient("worker")):
        pass
    chaos.verify(no_acknowledged_loss, at_least_once)

def test_recovery_needs_a_fault(kafka_cluster, chaos):
    """Without a fault nothing is known of recovery."""
    topic = kafka_cluster.create_topic("orders")
    chaos.producer(topic, rate=500, count=50).wait_acknowledged(50, timeout_s=60)
    chaos.verify(recovered(within="5s"))

def test_of_somebody_else():
    """Nothing of kafkaos."""
'''
BROKEN = "test_mine.py::test_orders_are_worked_off[single-mtls]"
SKIPPER = "A worker that commits"
TIMELINE = "section.scenario:target .picture"


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
         "--kafka-out", str(out), "--alluredir", str(out / "allure-results"), "--junitxml", str(out / "junit.xml")],
        cwd=folder, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    return Ran(folder, out, done.stdout)


@pytest.fixture(scope="module")
def report(ran: Ran) -> Path:
    """Both reports, of the session and of one before it, which here is the same; by the paths that a person types."""
    with contextlib.chdir(ran.folder):
        assert execute(["report", "out", "out", "--single-file"]) == 0
    return ran.out / "report"


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page that has no network; that it made no error and asked nobody for anything is seen in the end."""
    context = browser.new_context(viewport={"width": request.param, "height": 900}, offline=True)
    context.set_default_timeout(60_000)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda asked: wrong.append(asked.url))
    yield page
    context.close()
    assert wrong == []


def fits(page: Page) -> bool:
    """Nothing is wider than the screen."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def open_scenario(page: Page, report: Path, outcome: str) -> Locator:
    """From the overview of our own page, by a click."""
    page.goto((report / "kafkaos.html").as_uri())
    page.locator(f"tr[data-outcome={outcome}] a").click()
    return page.locator("section.scenario:target")


def test_the_terminal_tells_each_verdict_in_words_and_how_to_see_it_again(ran: Ran) -> None:
    """With pytest-xdist too: one line a scenario, the news first, the table, one command for each that did not hold."""
    lines = ran.said[ran.said.index("kafkaos: scenarios") :].splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["BROKE", "unknown", "held"]
    assert re.search(
        r"orders_are_worked_off\[single-mtls\] \([\d.]+ s\): at_least_once: \d+ records of 120", lines[1]
    )
    assert f"  pytest '{BROKEN}' --kafka-seed {SEED}" in lines
    # The name is folded where a number of another row is wide: on a slow machine the others send for longer.
    assert re.search(r"orders are worked off +(\[single-mtls\] +)?120 +120 +\d+", ran.said)


def test_allure_is_told_what_was_tried_and_what_held(ran: Ran) -> None:
    """Guarantees are epics, faults are features; a broken guarantee failed, an unknown one is broken."""
    held, broke, unknown = (
        ran.results[f"test_{name}"]
        for name in ("orders_survive_a_restart", "orders_are_worked_off", "recovery_needs_a_fault")
    )
    assert [r["status"] for r in (held, broke, unknown)] == ["passed", "failed", "broken"]
    assert {
        ("epic", "Every acknowledged record is in the log at the end"),
        ("feature", "kill -9 of a node"),
        ("story", "orders_survive_a_restart"),
        ("severity", "critical"),
        ("tag", "A7"),
    } <= {(label["name"], label["value"]) for label in held["labels"]}
    first, *others = [step["name"] for step in held["steps"] if not step["name"].startswith("wait ")]
    assert first.startswith("steady state: producer-1 acknowledged ")
    assert others[:3] == ["inject: kill -9 of a node", "evidence that it bit", "while it lasts"]
    assert others[-3:] == ["drain", "read the final truth", "check"]
    assert "seed" in {p["name"] for p in held["parameters"] if p.get("excluded")}
    assert {"timeline", "timeline to point at (download it)", "witnesses", "plan", "run it again",
            "settings and versions", "recording (kafkaos check FILE)", "broker-1.log, around the faults",
            } <= {attachment["name"] for attachment in broke["attachments"]}  # fmt: skip
    assert "`at_least_once` broke" in broke["description"]
    assert f"seed = {SEED}" in (ran.out / "allure-results" / "environment.properties").read_text()
    assert (ran.out / "allure-results" / "categories.json").exists()


def files_with(words: set[bytes], folder: Path) -> set[str]:
    """Names of the files in which one of the words is; of a recording also in its decompressed rows."""
    found = set()
    for path in folder.rglob("*"):
        if path.is_file():
            told = path.read_bytes()
            if path.suffix == ".parquet":
                told += pl.read_parquet(path).write_ndjson().encode()
            if any(word in told for word in words):
                found.add(path.name)
    return found


def test_no_secret_is_in_what_a_run_leaves(ran: Ran, report: Path) -> None:
    """No password and no key of a mutual-TLS cluster is in results, recordings, logs, JUnit file and both reports."""
    (ran.out / "terminal.txt").write_text(ran.said)
    secrets = {secret.encode() for secret in json.loads((ran.folder / "secrets.json").read_text())}
    assert files_with({*secrets, b"PRIVATE KEY"}, ran.out) == set()
    # The search finds what is there, in each kind of file.
    shown = files_with({b"at_least_once", b"producer-1", b"KafkaRaftServer nodeId=1"}, ran.out)
    kinds = {
        "junit.xml",
        "kafkaos.html",
        "terminal.txt",
        "results.jsonl",
        "recording.parquet",
        "broker-1.log",
    }
    assert kinds <= shown


def test_a_published_report_tells_nothing_of_the_machine(ran: Ran, report: Path) -> None:
    """No folder and no host in Allure's results and both reports; a test that is not ours keeps its own labels."""
    places = {str(ran.folder).encode(), f"{Path.home()}/".encode()}
    assert files_with(places, ran.out / "allure-results") == set()
    assert files_with(places, report) == set()
    labels = {name: {label["name"] for label in result["labels"]} for name, result in ran.results.items()}
    assert not {"host", "thread"} & labels["test_orders_survive_a_restart"]
    assert {"host", "thread"} <= labels["test_of_somebody_else"]
    assert [r for r in ran.results.values() if platform.node() in [p["value"] for p in r["labels"]]] == [
        ran.results["test_of_somebody_else"]
    ]


def test_the_overview_tells_the_session_and_filters_it(page: Page, report: Path) -> None:
    """Counts, the news first and what was before; a click leaves the broken ones."""
    page.goto((report / "kafkaos.html").as_uri())
    rows = page.locator("#scenarios tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("BROKE")
    expect(rows.first.locator(".history i.broke")).to_have_count(2)
    expect(page.locator("tr[data-outcome=held] .history i.held")).to_have_count(2)
    assert fits(page)
    page.get_by_role("button", name="BROKE").click()
    expect(page.locator("#scenarios tbody tr:visible")).to_have_count(1)


def test_a_failed_scenario_tells_its_witness_and_the_fault(page: Page, report: Path) -> None:
    """The record that nobody worked on, what killed its worker, and the moment of it in the timeline."""
    scenario = open_scenario(page, report, "broke")
    expect(scenario).to_contain_text("Every acknowledged record is processed by each group")
    expect(
        scenario.locator("li").filter(has_text=re.compile(r"orders-0 at offset \d+")).first
    ).to_be_visible()
    expect(scenario).to_contain_text("client worker ended by SIGKILL")
    expect(scenario.locator("svg:visible text").get_by_text("kill-client of client worker")).to_be_visible()
    expect(page.locator("#overview")).to_be_hidden()
    assert fits(page)


def test_a_passed_scenario_tells_its_evidence_and_the_timeline_who_led(page: Page, report: Path) -> None:
    """Where one points at the dead time of the only broker nobody leads; a second later it is told who does."""
    scenario = open_scenario(page, report, "held")
    expect(scenario).to_contain_text("evidence that it bit")
    expect(scenario).to_contain_text("ended by SIGKILL")
    expect(scenario.locator("svg:visible text").get_by_text("kill of the leader of orders-0")).to_be_visible()
    picture = page.locator(TIMELINE)
    picture.scroll_into_view_if_needed()
    dead = picture.locator("svg:visible rect").filter(has_text="leader 1, which does not answer").first
    box = dead.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] - 40)
    expect(picture.locator(".told")).to_contain_text("orders-0: leader 1, which does not answer, ISR 1")
    led = picture.locator("svg:visible rect").filter(has_text="s: leader 1, epoch").last.bounding_box()
    assert led is not None
    page.mouse.move(led["x"] + led["width"] - 2, box["y"] - 40)
    expect(picture.locator(".told")).to_contain_text("orders-0: leader 1, ISR 1")
    assert fits(page)


@pytest.mark.skipif(lacking() is not None, reason=f"Allure cannot be used here: {lacking()}")
def test_allure_opens_offline_on_every_kind_of_page(page: Page, report: Path) -> None:
    """Overview, suite by guarantee and fault, the failed scenario with its command, the passed one, the timeline."""
    page.goto((report / "allure" / "index.html").as_uri())
    expect(page.get_by_text("Every acknowledged record is processed by each group").first).to_be_visible()
    expect(page.get_by_text("kill -9 of a client").first).to_be_visible()
    page.get_by_text(SKIPPER).first.click()
    expect(page.get_by_text("GuaranteeBroken").first).to_be_visible()
    expect(page.get_by_text("A guarantee broke").first).to_be_visible()
    described = page.frame_locator("iframe").first
    expect(described.get_by_text(re.compile(r"orders-0 at offset \d+")).first).to_be_visible()
    expect(described.get_by_text(f"pytest '{BROKEN}' --kafka-seed {SEED}")).to_be_visible()
    attached = page.locator('[data-testid="test-result-attachment-header"]')
    attached.filter(has=page.get_by_text("timeline", exact=True)).click(position={"x": 12, "y": 8})
    picture = page.locator("img[src^=blob], img[src^=data]").first
    expect(picture).to_be_visible()
    assert picture.evaluate("async image => { await image.decode(); return image.naturalWidth; }") > 300
    history = page.get_by_role("button", name="History")
    expect(history).to_contain_text("1")
    page.goto((report / "allure" / "index.html").as_uri())
    page.get_by_text("kill -9 of a node", exact=True).first.click()  # where all is well it is folded
    page.get_by_text("Orders are all there after the broker was killed.").first.click()
    expect(page.get_by_text("evidence that it bit").first).to_be_visible()


def test_the_command_of_the_page_shows_the_failure_again(browser: Browser, ran: Ran, report: Path) -> None:
    """What a reader copies from the failed scenario's page alone breaks the same guarantee again."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    scenario = open_scenario(context.new_page(), report, "broke")
    scenario.get_by_role("button", name="Copy").click()
    expect(scenario.get_by_role("button", name="Copied")).to_be_visible()
    command = scenario.evaluate("() => navigator.clipboard.readText()")
    context.close()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, shell=True, cwd=ran.folder, env={**os.environ, "PATH": path},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert re.search(r"^BROKE +orders_are_worked_off.*: at_least_once", done.stdout, re.MULTILINE)
