"""Which candidates are trained."""

from dataclasses import replace

from sealserve.config import LearnSettings
from sealserve.learning.recipes import recipes

SETTINGS = LearnSettings(candidates=3)


def test_the_settings_come_first_then_the_models_wish_then_variations() -> None:
    chosen, notes = recipes(SETTINGS, ['{"epochs": 3}'], cycle="c", max_rank=32)
    assert chosen[0].learning_rate == SETTINGS.learning_rate
    assert (chosen[0].epochs, chosen[1].epochs) == (SETTINGS.epochs, 3)
    assert chosen[2].learning_rate != SETTINGS.learning_rate
    assert notes == ("followed epochs",)


def test_without_a_wish_that_makes_sense_rates_vary() -> None:
    chosen, notes = recipes(SETTINGS, ["as you like"], cycle="c", max_rank=32)
    assert len({recipe.learning_rate for recipe in chosen}) == 3
    assert "defaults" in notes[0]


def test_seeds_differ_between_candidates_and_are_the_same_in_a_re_run() -> None:
    first, _ = recipes(LearnSettings(candidates=9), [], cycle="c", max_rank=32)
    again, _ = recipes(LearnSettings(candidates=9), [], cycle="c", max_rank=32)
    assert first == again
    assert len({recipe.seed for recipe in first}) == 9


def test_no_rank_is_above_what_the_engine_takes() -> None:
    chosen, _ = recipes(SETTINGS, ['{"rank": 128}'], cycle="c", max_rank=4)
    assert {recipe.rank for recipe in chosen} == {4}


def test_every_recipe_is_trained_with_as_many_seeds_as_wanted_the_settings_own_first() -> None:
    once, _ = recipes(LearnSettings(), (), cycle="c", max_rank=32)
    thrice, _ = recipes(LearnSettings(seeds=3), (), cycle="c", max_rank=32)
    assert thrice[: len(once)] == once
    assert [replace(one, seed=0) for one in thrice] == [replace(one, seed=0) for one in once] * 3
    assert len({one.seed for one in thrice}) == 3 * len(once)
