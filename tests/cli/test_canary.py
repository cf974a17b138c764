"""`sealserve canary`."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

from sealserve.cli.canary import sparkline
from sealserve.records.canary_suites import CanaryResult
from tests.cli.site import Site

LINES = [
    {"id": "a", "prompt": "How many crowns?", "matcher": "numeric", "answer": 45, "tolerance": 1, "kind": "fact"},
    {"id": "b", "prompt": "Which one?", "matcher": "choice", "choices": ["red", "blue"], "answer": "red"},
]
RESULT = CanaryResult(
    tenant="acme", version=1, suite="tone", suite_version=2, n=40, share=0.9, low=0.8, high=0.95,
    gain=-0.1, gain_low=-0.2, gain_high=0.0, fell=(), why="", taken_at=datetime(2026, 11, 20, tzinfo=UTC),
)  # fmt: skip


def test_a_suite_is_put_listed_shown_and_retired(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "tone.jsonl"
    file.write_text("\n".join(map(json.dumps, LINES)))
    kept = site.json("canary", "put", "acme", "tone", str(file))
    assert (kept["version"], kept["already_known"], len(kept["items"])) == (1, False, 2)
    assert site.json("canary", "put", "acme", "tone", str(file))["already_known"] is True
    (listed,) = site.json("canary", "list", "acme")["canary_suites"]
    assert (listed["name"], listed["version"], listed["items"], listed["is_live"]) == ("tone", 1, 2, True)
    shown = site.run("canary", "show", "acme", "tone").out
    assert "45 ± 1" in shown
    assert "red of red, blue" in shown
    assert site.run("canary", "show", "acme", "tone", "--version", "2").code == 3
    assert site.json("canary", "retire", "acme", "tone", "--reason", "old")["retired_at"]
    assert site.json("canary", "list", "acme")["canary_suites"][0]["is_live"] is False


def test_a_file_that_is_no_suite_is_refused_with_the_line(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "wrong.jsonl"
    file.write_text(json.dumps(LINES[0]) + '\n{"id": "b", "prompt": "q", "matcher": "regex", "pattern": "("}\n')
    ran = site.run("canary", "put", "acme", "tone", str(file))
    assert ran.code == 2
    assert "wrong.jsonl:2" in ran.err.replace("\n", "")
    assert site.json("canary", "list", "acme")["canary_suites"] == []


def test_the_trend_shows_every_night_and_what_fell(site: Site) -> None:
    assert "no results yet" in site.run("canary", "trend", "acme").out
    later = RESULT.taken_at + timedelta(days=1)
    site.registry.canary_suites.add_results([RESULT, replace(RESULT, suite="canary", suite_version=0)])
    site.registry.canary_suites.add_results([replace(RESULT, share=0.5, fell=("base", "itself"), taken_at=later)])
    site.registry.canary_suites.add_results([replace(RESULT, n=0, why="the engine was away", taken_at=later)])
    suites = site.json("canary", "trend", "acme")["suites"]
    assert [one["share"] for one in suites["tone@2"]] == [0.9, 0.5, 0.9]
    assert list(suites) == ["canary", "tone@2"]
    out = site.run("canary", "trend", "acme", "--suite", "tone").out
    assert "▇▅·" in out
    assert "fell below base and itself" in out
    assert "not measured: the engine was away" in out
    assert len(site.json("canary", "trend", "acme", "--last", "1")["suites"]["tone@2"]) == 1


def test_benchmarks_say_what_is_missing(site: Site, tmp_path: Path) -> None:
    assert site.run("canary", "bench", "--tasks", str(tmp_path), "--version", "2").code == 2
    ran = site.run("canary", "bench", "--tasks", str(tmp_path))
    assert ran.code == 2
    assert ("no task files" if find_spec("lm_eval") else "pip install") in ran.err.replace("\n", " ")


def test_a_sparkline_has_a_bar_a_night() -> None:
    assert sparkline([0.0, 1.0, None, 1.7]) == "▁█·█"
