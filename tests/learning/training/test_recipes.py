"""Which candidates are trained."""

from dataclasses import replace
from pathlib import Path

from sealserve.learning.training.cycle_job import Start
from sealserve.learning.training.recipes import recipes
from sealserve.prompts import Template
from sealserve.records.candidates import Target
from sealserve.settings.learn import LearnSettings, learn_settings

SETTINGS = learn_settings(training__candidates=3)


def test_the_settings_come_first_then_the_models_wish_then_variations() -> None:
    chosen, notes = recipes(SETTINGS, ['{"epochs": 3}'], cycle="c", max_rank=32)
    assert chosen[0].learning_rate == SETTINGS.training.learning_rate
    assert (chosen[0].epochs, chosen[1].epochs) == (SETTINGS.training.epochs, 3)
    assert chosen[2].learning_rate != SETTINGS.training.learning_rate
    assert notes == ("followed epochs",)


def test_without_a_wish_that_makes_sense_rates_vary() -> None:
    chosen, notes = recipes(SETTINGS, ["as you like"], cycle="c", max_rank=32)
    assert len({recipe.learning_rate for recipe in chosen}) == 3
    assert "defaults" in notes[0]


def test_seeds_differ_between_candidates_and_are_the_same_in_a_re_run() -> None:
    first, _ = recipes(learn_settings(training__candidates=9), [], cycle="c", max_rank=32)
    again, _ = recipes(learn_settings(training__candidates=9), [], cycle="c", max_rank=32)
    assert first == again
    assert len({recipe.seed for recipe in first}) == 9


def test_no_rank_is_above_what_the_engine_takes() -> None:
    chosen, _ = recipes(SETTINGS, ['{"rank": 128}'], cycle="c", max_rank=4)
    assert {recipe.rank for recipe in chosen} == {4}


def test_every_recipe_is_trained_with_as_many_seeds_as_wanted_the_settings_own_first() -> None:
    once, _ = recipes(LearnSettings(), (), cycle="c", max_rank=32)
    thrice, _ = recipes(learn_settings(training__seeds=3), (), cycle="c", max_rank=32)
    assert thrice[: len(once)] == once
    assert [replace(one, seed=0) for one in thrice] == [replace(one, seed=0) for one in once] * 3
    assert len({one.seed for one in thrice}) == 3 * len(once)


def test_both_targets_are_tried_for_every_way_in_turn() -> None:
    settings = learn_settings(training__candidates=5, training__targets=("likelihood", "distillation"))
    chosen, _ = recipes(settings, ['{"epochs": 3}'], cycle="c", max_rank=32)
    assert [(recipe.epochs, recipe.target) for recipe in chosen] == [
        (settings.training.epochs, Target.LIKELIHOOD),
        (settings.training.epochs, Target.DISTILLATION),
        (3, Target.LIKELIHOOD),
        (3, Target.DISTILLATION),
        (settings.training.epochs, Target.LIKELIHOOD),
    ]


def test_a_free_recipe_is_one_more_template_for_whom_it_is_meant() -> None:
    settings = learn_settings(study__tenant_recipes={"acme": "Study this by asking why."})
    mine, _ = recipes(settings, [], cycle="c", max_rank=32, tenant="acme")
    others, _ = recipes(settings, ['{"templates": ["free", "qa"]}'], cycle="c", max_rank=32, tenant="globex")
    assert Template.FREE in mine[0].templates
    assert all(Template.FREE not in recipe.templates for recipe in others)
    assert others[1].templates == (Template.QA,)


def test_candidates_that_go_on_from_an_adapter_have_its_shape_whatever_is_wished() -> None:
    start = Start(path=Path("adapter"), version=1, rank=4, alpha=12)
    chosen, notes = recipes(SETTINGS, ['{"rank": 16, "epochs": 2}'], cycle="c", max_rank=32, start=start)
    assert {(recipe.rank, recipe.alpha) for recipe in chosen} == {(4, 12)}
    assert notes == ("followed epochs",)


def test_only_an_adapter_trained_from_the_base_gets_less_than_was_trained() -> None:
    settings = learn_settings(training__strength=0.8)
    start = Start(path=Path("adapter"), version=1, rank=4, alpha=12)
    for begin, strength in ((None, 0.8), (start, 1.0)):
        chosen, _ = recipes(settings, (), cycle="c", max_rank=32, start=begin)
        assert {recipe.strength for recipe in chosen} == {strength}


def test_further_wishes_of_the_model_come_after_the_variations_each_once() -> None:
    asked = ['{"epochs": 3}', '{"epochs": 5}', '{"epochs": 3}', '{"epochs": 7}']
    chosen, _ = recipes(learn_settings(training__candidates=8), asked, cycle="c", max_rank=32)
    default = LearnSettings().training.epochs
    assert [recipe.epochs for recipe in chosen] == [default, 3, default, default, default, default, 5, 7]
