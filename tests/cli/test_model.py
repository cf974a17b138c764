"""`model check` and `tune`: what they print, over measurements that are given."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sealserve.base_models.fitness import Fitness
from sealserve.base_models.profile import ModelProfile
from sealserve.learning.tune import RateTrial, Tuned
from sealserve.prompts import Dialect
from sealserve.settings.settings import Settings
from tests.base_models.test_fitness import FIT
from tests.cli.site import run

WORKBENCH = "sealserve.daemon.workbench"


def measured(monkeypatch: pytest.MonkeyPatch, fitness: Fitness) -> list[Settings]:
    seen = []

    async def check_base(settings: Settings, **_: Any) -> Fitness:
        seen.append(settings)
        return fitness

    monkeypatch.setattr(f"{WORKBENCH}.check_base", check_base)
    return seen


def test_a_fit_model_is_shown_with_its_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = measured(monkeypatch, FIT)
    shown = run("model", "check", "--model", "some/model", "--json").shown
    assert (shown["fit"], shown["reason"], shown["open_book"]) == (True, "", 0.6)
    assert shown["minutes_per_article"] == {"writing": 3.0, "training": 9.0, "confirming": 8.0}
    assert [settings.engine.model for settings in seen] == ["some/model"]
    table = run("model", "check").out
    assert "fit to learn" in table
    assert "20 minutes" in table


def test_an_unfit_model_fails_the_check_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, replace(FIT, questions_written=0.1))
    ran = run("model", "check", "--json")
    assert (ran.code, ran.shown["fit"]) == (1, False)
    assert "learn.study.editor = endpoint" in ran.shown["reason"]


@pytest.mark.parametrize("command", [("model", "check"), ("tune",)])
def test_the_embedded_model_is_neither_checked_nor_tuned(command: tuple[str, ...], tmp_path: Path) -> None:
    config = tmp_path / "sealserve.toml"
    config.write_text(f"data_directory = '{tmp_path / 'data'}'\n")
    ran = run(*command, "--model", "nano", "--config", str(config))
    assert ran.code == 2
    assert "sealserve nano eval" in ran.err
    assert not (tmp_path / "data").exists()


def test_tuning_shows_every_rate_and_the_chosen_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trials = tuple(RateTrial(learning_rate=r, right=r * 100, lost=0.0, loss=1.0) for r in (0.0003, 0.001, 0.003))
    tuned = Tuned(
        learning_rate=0.003, trials=trials, base_right=0.0, training_tokens_per_second=90.0, seconds=1.0, notes=("n",)
    )

    async def tune_base(settings: Settings, *, steps: int, say: Any) -> tuple[Tuned, ModelProfile]:
        assert steps == 7
        return tuned, ModelProfile(dialect=Dialect.GENERAL, learn={}, origin="tuned")

    monkeypatch.setattr(f"{WORKBENCH}.tune_base", tune_base)
    config = tmp_path / "sealserve.toml"
    config.write_text("[learn.training]\nlearning_rate = 0.01\n")
    shown = run("tune", "--steps", "7", "--config", str(config), "--json").shown
    assert (shown["learning_rate"], shown["origin"]) == (0.003, "tuned")
    assert shown["notes"][0] == "n"
    assert "learn.training.learning_rate" in shown["notes"][1]
    ran = run("tune", "--steps", "7")
    assert "chosen" in ran.out
    assert "0.0003" in ran.out
