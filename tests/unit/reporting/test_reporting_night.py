"""Nights: seeds that go on, the worst of several rounds, what is new, one issue each, one site."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kafkaos.commands.rounds import State
from kafkaos.errors import BrokenRecording
from kafkaos.reporting import results, site
from kafkaos.reporting.issues import open_issues
from kafkaos.reporting.night import Night, markdown, summary
from kafkaos.reporting.results import Result

ROTATION, OPTIONS = ["a", "b", "c"], ["--backend=process"]
# What `gh` would do, kept as lines; `issue list` answers with what is open.
GH = """#!/bin/sh
echo "$@" >> "$GH_SAID"
[ "$1 $2" = "issue list" ] && cat "$GH_OPEN"
exit 0
"""


def result(test: str, outcome: str, *, seed: int = 1, began_s: float = 100.0) -> Result:
    return Result(
        test=test, outcome=outcome, sentence=f"{test} {outcome}", seed=seed, began_s=began_s,
        reproduce=f"kafkaos run {test} --seed {seed}",
    )  # fmt: skip


def allure_result(folder: Path, uuid: str, status: str, start_ms: int) -> None:
    """A result as allure-pytest writes it, with a file of its own in a step."""
    place = folder / "allure-results"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{uuid}-attachment.txt").write_text(status)
    step = {"name": "check", "attachments": [{"name": "x", "source": f"{uuid}-attachment.txt"}]}
    value = {"uuid": uuid, "historyId": "one", "status": status, "start": start_ms, "steps": [step]}
    (place / f"{uuid}-result.json").write_text(json.dumps(value))


def begun(session: Path, test: str) -> None:
    """The folder of a run that is not over yet, as the fixture `chaos` begins it."""
    folder = session / "runs" / test
    folder.mkdir(parents=True)
    meta = {"run": f"1:{test}", "seed": 1, "settings": {"test": test, "reproduce": f"kafkaos run {test}"}}
    (folder / "recording.json").write_text(json.dumps(meta))


def test_every_round_has_its_own_seed_and_the_same_base_gives_the_same_row(tmp_path: Path) -> None:
    """Seeds rotate from night to night; a base that is given again repeats them."""

    def seeds(out: Path) -> list[int]:
        found = []
        for _ in range(4):
            state = State.load(out, 7)
            one = state.next_round(ROTATION, OPTIONS)
            state.finish(one, [])
            state.save()
            found.append(one["seed"])
        return found

    first = seeds(tmp_path / "a")
    assert len(set(first)) == 4
    assert seeds(tmp_path / "b") == first


def test_a_round_that_was_cut_off_is_gone_on_with_by_its_seed(tmp_path: Path) -> None:
    """Also after a kill: the state is on disk before the round begins. Another kind of round is begun anew."""
    state = State.load(tmp_path, None)
    begun = state.next_round(ROTATION, OPTIONS)
    state.save()
    assert State.load(tmp_path, None).next_round(ROTATION, OPTIONS) == begun
    for rotation, options in ((["other"], OPTIONS), (ROTATION, ["--backend=docker"])):
        other = State.load(tmp_path, None).next_round(rotation, options)
        assert other["number"] == begun["number"] + 1


def test_the_main_job_opens_each_night_and_takes_turns_with_a_rotation_of_the_others(tmp_path: Path) -> None:
    """What had no time comes next, in the next night too; after the last scenario the rotation begins anew."""
    left_by_round = iter([[], ["b", "c"], [], ["c"], [], []])
    wanted = []
    for rounds in (4, 3):
        state = State.load(tmp_path, 7)
        for _ in range(rounds):
            one = state.next_round(ROTATION, OPTIONS, main_job=True)
            wanted.append(one["scenarios"])
            state.finish(one, next(left_by_round, []))
            state.save()
    main = ["main_job"]
    assert wanted == [main, ["a", "b", "c"], main, ["b", "c"], main, ["c"], main]
    assert State.load(tmp_path, 7).next_round(ROTATION, OPTIONS)["scenarios"] == ROTATION


def test_a_broken_state_is_told(tmp_path: Path) -> None:
    """One sentence with the file and the next step, never a new row of seeds in silence."""
    for text in ('{"base": 1', '{"base": 1, "left": [], "rounds": [{}]}'):
        (tmp_path / "nightly.json").write_text(text)
        with pytest.raises(BrokenRecording, match=r"nightly\.json is broken .* delete it"):
            State.load(tmp_path, None)


def test_a_failure_is_not_undone_by_the_round_after_it(tmp_path: Path) -> None:
    """Of two rounds the worse result counts, with its seed and its files; the night before does not."""
    rounds = [tmp_path / "rounds" / "1", tmp_path / "rounds" / "2"]
    results.append(rounds[0], result("a", "held", began_s=10.0))
    results.append(rounds[0], result("b", "broke", seed=5))
    results.append(rounds[1], result("b", "held", seed=6))
    allure_result(rounds[0], "u1", "failed", 100_000)
    allure_result(rounds[1], "u2", "passed", 200_000)
    allure_result(rounds[1], "u0", "failed", 10_000)
    night = Night(tmp_path / "night", 50.0, rounds)
    assert [(r.test, r.outcome, r.seed) for r in night.merge()] == [("b", "broke", 5)]
    kept = sorted(path.name for path in (night.folder / "allure-results").iterdir())
    assert kept == ["u1-attachment.txt", "u1-result.json"]


def test_a_scenario_that_was_cut_off_is_no_failure(tmp_path: Path) -> None:
    """An interrupted night tells it as cut, be it the first of its round; what it came to before or after counts."""
    rounds = [tmp_path / "rounds" / "1", tmp_path / "rounds" / "2"]
    results.begin(rounds[0])
    begun(rounds[0], "a")
    results.append(rounds[1], result("b", "held", began_s=200.0))
    begun(rounds[1], "b")
    begun(rounds[1], "c")
    night = Night(tmp_path / "night", 50.0, rounds)
    merged = night.merge()
    assert {r.test: r.outcome for r in merged} == {"a": "cut", "b": "held", "c": "cut"}
    assert merged[0].sentence == "It was cut off before anything was judged."
    told = summary(night, merged, before=[], seeds=[1, 2])
    assert told["not_held"] == []
    assert "2 cut off, 1 held" in markdown(told)
    results.append(rounds[0], result("a", "broke"))  # run again
    assert [r.outcome for r in results.read(rounds[0])] == ["broke"]


def test_the_summary_tells_what_is_new_and_how_to_see_it(tmp_path: Path) -> None:
    """A failure of the night before is not new; each has its command."""
    night = Night(tmp_path, 0.0, [])
    now = [result("a", "broke", seed=5), result("b", "error"), result("c", "held")]
    told = summary(night, now, before=[result("a", "broke"), result("b", "held")], seeds=[5, 6])
    assert [(item["test"], item["new"]) for item in told["not_held"]] == [("a", False), ("b", True)]
    text = markdown(told)
    assert "Seeds: 5, 6." in text
    assert "kafkaos run a --seed 5" in text
    assert "1 held" in text


def test_a_failure_opens_one_issue_and_no_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has an open issue gets none; the others get one each, with the command in it."""
    gh = tmp_path / "bin" / "gh"
    gh.parent.mkdir()
    gh.write_text(GH)
    gh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{gh.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GH_SAID", str(tmp_path / "said"))
    monkeypatch.setenv("GH_OPEN", str(tmp_path / "open.json"))
    (tmp_path / "open.json").write_text(json.dumps([{"title": "nightly: a"}]))
    told = summary(
        Night(tmp_path, 0.0, []), [result("a", "broke"), result("b", "failed")], before=[], seeds=[1]
    )
    (tmp_path / "summary.json").write_text(json.dumps(told))
    assert open_issues(tmp_path) == ["nightly: b"]
    said = (tmp_path / "said").read_text()
    assert said.count("issue create") == 1
    assert "kafkaos run b --seed 1" in said


def test_the_site_links_every_job_s_reports(tmp_path: Path) -> None:
    """One index over the matrix, with the counts; a job that did not end is told as such."""
    (tmp_path / "jobs" / "nightly-mtls" / "report").mkdir(parents=True)
    (tmp_path / "jobs" / "nightly-mtls" / "report" / "kafkaos.html").write_text("page")
    (tmp_path / "jobs" / "nightly-mtls" / "summary.json").write_text(json.dumps({"counts": {"broke": 2}}))
    (tmp_path / "jobs" / "nightly-tls").mkdir()
    index = site.build(tmp_path / "jobs", tmp_path / "site").read_text()
    assert "2 BROKE" in index
    assert "did not end" in index
    assert 'href="nightly-mtls/kafkaos.html"' in index
    assert (tmp_path / "site" / "nightly-mtls" / "kafkaos.html").read_text() == "page"
