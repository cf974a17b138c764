"""The learning figures over a simulated model that learns what it is told: their arithmetic, not their values."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sealserve.bench.harness.learning_lab import Lab, Studied
from sealserve.bench.learning import continual, continual_ways, editor, learn, seal, squad
from sealserve.bench.learning.continual_ways import Course, Size
from sealserve.errors import BadConfig
from sealserve.learning.training.examples import Source
from sealserve.prompts import BUILT_IN, Template
from sealserve.records.candidates import Recipe
from tests.bench.small_lab import use_small_lab

pytestmark = pytest.mark.slow  # plays whole cycles


def test_learn_tells_what_was_taught_from_what_was_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_base: Path
) -> None:
    use_small_lab(monkeypatch, learn, tmp_path / "data", tiny_base)
    figures = learn.run(quick=True, out=tmp_path / "plots", say=lambda line: None)
    assert figures["none"] == 0.0
    assert figures["open_book"] == 1.0  # the simulated model reads without error
    assert "open_book" in figures["intervals"]
    assert figures["default"] == 1.0
    assert figures["raw"] == 1.0  # the simulated model learns from any text
    assert figures["reported_minus_retested"] == 0.0
    assert figures["goals"]["default"]["is_met"]
    assert figures["goals"]["none"] == {"measured": 0.0, "goal": "<= 0.05", "is_met": True}
    assert (tmp_path / "plots/learn.png").read_bytes().startswith(b"\x89PNG")
    json.dumps(figures)


@dataclass(frozen=True, slots=True)
class Continual:
    """One run of `continual`: its figures, the directory of its plots, and every recipe that it trained."""

    figures: dict[str, Any]
    plots: Path
    recipes: tuple[Recipe, ...]


@pytest.fixture(scope="module")
def continued(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Continual:
    directory = tmp_path_factory.mktemp("continual")
    with pytest.MonkeyPatch.context() as patched:
        school = use_small_lab(patched, continual, directory / "data", tiny_base)
        patched.setattr(continual_ways, "merge", lambda base, adapter, into: base)
        patched.setattr(continual_ways, "summed", lambda adapters, into: adapters[-1])  # as if no earlier one were kept
        figures = continual.run(quick=True, out=directory / "plots", say=lambda line: None)
    recipes = tuple(attempt.recipe for job in school.teacher.jobs for attempt in job.attempts)
    return Continual(figures, directory / "plots", recipes)


def test_continual_shows_that_replay_keeps_what_merging_alone_would_lose(continued: Continual) -> None:
    figures = continued.figures
    assert figures["retained_lag2"] == 1.0
    assert figures["seal_retained_lag2"] == 0.0
    assert figures["canary_loss"] == 0.0
    assert figures["matrix"] == [[1.0, 1.0, 1.0], [1.0, 1.0, None], [1.0, None, None]]
    assert figures["seal_matrix"][0] == [1.0, 0.0, 0.0]
    assert figures["replay_retained_lag2"] == 1.0
    assert figures["replay_matrix"] == [[1.0, None, 1.0], [None, 1.0, None], [1.0, None, None]]
    assert figures["known_at_the_end"] == figures["replay_known_at_the_end"] == 1.0
    assert figures["seal_known_at_the_end"] == pytest.approx(1 / 3, abs=1e-3)  # the last of three articles
    tried = {"known_at_the_end": figures["seal_known_at_the_end"], "canary_loss": figures["seal_canary_loss"]}
    assert figures["seal_rates"] == dict.fromkeys(("0.0003", "0.001", "0.003"), tried)
    assert (figures["orders"], figures["replay_orders"], figures["seal_orders"]) == (2, 2, 1)
    assert set(figures["intervals"].values()) == {None}  # two orders cannot be resampled
    assert len(list(continued.plots.glob("*.png"))) == 2
    json.dumps(figures)


def test_seal_learns_by_its_own_settings_and_replay_alone_without_retention_set(continued: Continual) -> None:
    recipes = continued.recipes
    seal = [one for one in recipes if one.rank == continual_ways.SEAL_RANK]
    assert sorted({one.learning_rate for one in seal}) == list(continual_ways.SEAL_RATES)
    assert {(one.alpha, one.epochs, one.batch_size, one.retention) for one in seal} == {(64, 10, 1, 0.0)}
    replay = [one for one in recipes if one.rank != continual_ways.SEAL_RANK and one.retention == 0.0]
    assert {one.weight_change_penalty for one in replay} == {0.0}
    assert len(replay) == 2 * 2  # two orders, after the first and the last article


async def test_rate_that_knows_most_at_the_end_goes_through_all_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {3e-4: [True, False], 1e-3: [True, True], 3e-3: [False, False]}
    played: list[tuple[float, int, int]] = []

    async def play(
        lab: Lab,
        studied: Sequence[Studied],
        orders: Sequence[Sequence[int]],
        size: Size,
        *,
        rate: float,
        first: int = 0,
    ) -> Course:
        played.append((rate, first, len(orders)))
        return Course([{(0, 1): known[rate][:1], (1, 0): known[rate][1:]} for _ in orders], [[True] for _ in orders])

    monkeypatch.setattr(continual_ways, "_merge_and_go_on", play)
    lab = cast(Lab, SimpleNamespace(say=lambda line: None))
    orders = [[start % 2, (start + 1) % 2] for start in range(8)]
    run = await continual_ways.as_seal_does(lab, [], orders, continual.FULL)
    assert run.rate == 1e-3
    assert {rate: len(course.answers) for rate, course in run.tried.items()} == {3e-4: 2, 1e-3: 2, 3e-3: 2}
    assert played == [(3e-4, 0, 2), (1e-3, 0, 2), (3e-3, 0, 2), (1e-3, 2, 6)]
    assert len(run.course.answers) == len(run.course.canary) == 8


def test_the_engine_holds_the_sum_of_what_seal_merged() -> None:
    assert continual.FULL.max_rank == 256
    assert continual.QUICK.max_rank == 128


def test_editor_plays_its_rounds_and_measures_on_documents_of_no_round(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_base: Path
) -> None:
    school = use_small_lab(monkeypatch, editor, tmp_path / "data", tiny_base)
    figures = editor.run(quick=True, out=tmp_path / "plots", say=lambda line: None)
    assert len(figures["accuracy"]) == 2
    assert figures["rounds"][0]["winners"] == 4
    assert [one["epochs"] for one in figures["asked_for"]] == [8, 8]
    assert figures["gain_low"] <= figures["gain"] <= figures["gain_high"]
    assert figures["default"] == 1.0  # the simulated model learns what any recipe tells it
    assert figures["gain_over_default"] == pytest.approx(figures["accuracy"][-1] - figures["default"])
    low, high = figures["gain_over_default_interval"]
    assert low <= figures["gain_over_default"] <= high
    settings = school.context.settings.learn.training
    assert figures["default_recipe"]["learning_rate"] == settings.learning_rate
    assert figures["default_recipe"]["epochs"] == settings.epochs
    assert {figures["default_recipe"][template] for template in BUILT_IN} == {1.0}
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
    assert {"none", "open_book", "raw", "implications", "rewrite", "qa", "default"} <= set(figures)
    assert "open_book" not in figures["published"]
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
