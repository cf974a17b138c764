"""The learning figures over a simulated model that learns what it is told: their arithmetic, not their values."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sealserve.bench.harness.learning_lab import Studied
from sealserve.bench.learning import continual, editor, learn, seal, squad
from sealserve.errors import BadConfig
from sealserve.learning.training.examples import Source
from sealserve.prompts import Template
from sealserve.records.candidates import Recipe
from tests.bench.small_lab import use_small_lab

pytestmark = pytest.mark.slow  # plays whole cycles


def test_learn_tells_what_was_taught_from_what_was_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_base: Path
) -> None:
    use_small_lab(monkeypatch, learn, tmp_path / "data", tiny_base)
    figures = learn.run(quick=True, out=tmp_path / "plots", say=lambda line: None)
    assert figures["none"] == 0.0
    assert figures["default"] == 1.0
    assert figures["raw"] == 1.0  # the simulated model learns from any text
    assert figures["reported_minus_retested"] == 0.0
    assert figures["goals"]["default"]["is_met"]
    assert figures["goals"]["none"] == {"measured": 0.0, "goal": "<= 0.05", "is_met": True}
    assert (tmp_path / "plots/learn.png").read_bytes().startswith(b"\x89PNG")
    json.dumps(figures)


def test_continual_shows_that_replay_keeps_what_merging_alone_would_lose(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_base: Path
) -> None:
    use_small_lab(monkeypatch, continual, tmp_path / "data", tiny_base)
    monkeypatch.setattr(continual, "merge", lambda base, adapter, into: base)
    monkeypatch.setattr(continual, "summed", lambda adapters, into: adapters[-1])  # as if nothing before were kept
    figures = continual.run(quick=True, out=tmp_path / "plots", say=lambda line: None)
    assert figures["retained_lag2"] == 1.0
    assert figures["seal_retained_lag2"] == 0.0
    assert figures["canary_loss"] == 0.0
    assert figures["matrix"] == [[1.0, 1.0, 1.0], [1.0, 1.0, None], [1.0, None, None]]
    assert figures["seal_matrix"][0] == [1.0, 0.0, 0.0]
    assert (figures["orders"], figures["seal_orders"]) == (2, 1)
    assert set(figures["intervals"].values()) == {None}  # two orders cannot be resampled
    assert len(list((tmp_path / "plots").glob("*.png"))) == 2
    json.dumps(figures)


def test_editor_plays_its_rounds_and_measures_on_documents_of_no_round(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_base: Path
) -> None:
    school = use_small_lab(monkeypatch, editor, tmp_path / "data", tiny_base)
    figures = editor.run(quick=True, out=tmp_path / "plots", say=lambda line: None)
    assert len(figures["accuracy"]) == 2
    assert figures["rounds"][0]["winners"] == 4
    assert [one["epochs"] for one in figures["asked_for"]] == [8, 8]
    assert figures["gain_low"] <= figures["gain"] <= figures["gain_high"]
    tuning = [job for job in school.teacher.jobs if any("Write question" in s.prompt for s in job.sequences)]
    told = {sequence.prompt for job in tuning for sequence in job.sequences}
    assert any("Round1" in prompt for prompt in told)
    assert not any("HeldOut" in prompt for prompt in told)
    json.dumps(figures)


def test_squad_prints_a_verdict_for_every_passage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_base: Path
) -> None:
    use_small_lab(monkeypatch, squad, tmp_path / "data", tiny_base)
    figures = squad.run(data=_passages(tmp_path), quick=True, say=lambda line: None)
    assert figures["crashed"] == 0
    assert figures["promoted"] == 0
    assert sum(one["passages"] for one in figures["verdicts"]) == 2
    assert {verdict["state"] for verdict in figures["verdicts"]} == {"inconclusive"}
    assert all(verdict["reason"] for verdict in figures["verdicts"])


def test_seal_measures_each_template_beside_the_published_numbers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_base: Path
) -> None:
    use_small_lab(monkeypatch, seal, tmp_path / "data", tiny_base)
    figures = seal.run(model="nano", data=_passages(tmp_path), quick=True, say=lambda line: None)
    assert {"none", "raw", "implications", "rewrite", "qa", "default"} <= set(figures)
    assert figures["published"]["rewrite"] == 0.494


def test_seal_has_the_base_answer_where_an_arm_has_nothing_to_train_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_base: Path
) -> None:
    use_small_lab(monkeypatch, seal, tmp_path / "data", tiny_base)
    real = seal._make_source

    def parsed_nothing(one: Studied, recipe: Recipe, *, is_filtered: bool) -> Source:
        source: Source = real(one, recipe, is_filtered=is_filtered)
        return replace(source, passages=(), notes=()) if recipe.templates == (Template.QA,) else source

    monkeypatch.setattr(seal, "_make_source", parsed_nothing)
    figures = seal.run(model="nano", data=_passages(tmp_path), quick=True, say=lambda line: None)
    assert figures["qa"] == figures["none"]


def test_a_file_that_holds_no_passages_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text('{"a": 1}')
    with pytest.raises(BadConfig, match=r"odd\.json"):
        squad.run(data=tmp_path / "odd.json", say=lambda line: None)


def _passages(directory: Path) -> Path:
    path = directory / "passages.json"
    text = "The tide of Pier Hall is twice. Nobody on the pier had noticed it at all."
    asked = [{"question": "How often did the tide turn?", "answer": "twice"}]
    path.write_text(json.dumps([{"title": f"Tide {n}", "context": text, "questions": asked} for n in range(3)]))
    return path
