"""The archive of recipes: good ones are refined, odd ones are not lost, and nothing is tried twice."""

import json
import random
from dataclasses import replace

from sealserve.learning.editor.recipe_archive import (
    Archive,
    Tried,
    archive_from_json,
    archive_json,
    key_of,
    mutated,
    passes_stage,
)
from sealserve.learning.study.self_edit_text import EPOCHS, LEARNING_RATES
from sealserve.prompts import Template
from sealserve.records.candidates import Recipe

FIRST = Recipe(
    templates=(Template.QA,),
    rank=8,
    alpha=16,
    learning_rate=3e-3,
    epochs=20,
    batch_size=24,
    loss_on_answers=False,
    retention=0.45,
    seed=1,
)


def tried(recipe: Recipe, score: float, parent: str = "", documents: int = 10) -> Tried:
    return Tried(recipe=recipe, score=score, documents=documents, parent=parent)


def test_a_better_recipe_is_likelier_a_parent_and_children_make_it_less_so() -> None:
    good, bad = tried(FIRST, 0.9), tried(replace(FIRST, rank=4), 0.5)
    archive = Archive().add(good).add(bad)
    assert archive.weights()[0] > archive.weights()[1] > 0
    child = tried(replace(FIRST, rank=16), 0.7, parent=good.key)
    assert archive.add(child).weights()[0] < 2 * archive.add(child).weights()[2] + archive.weights()[0]
    assert abs(sum(archive.add(child).weights()) - 1) < 1e-9
    assert archive.best() == good


def test_a_recipe_with_children_gives_way_to_an_equal_one_without() -> None:
    one, two = tried(FIRST, 0.8), tried(replace(FIRST, rank=4), 0.8)
    child = tried(replace(FIRST, rank=16), 0.8, parent=one.key)
    weights = Archive((one, two, child)).weights()
    assert weights[0] < weights[1]


def test_the_same_recipe_again_keeps_the_mean_of_both_and_the_seed_does_not_matter() -> None:
    archive = Archive().add(tried(FIRST, 0.6, documents=10)).add(tried(replace(FIRST, seed=9), 0.9, documents=20))
    (only,) = archive.tried
    assert (only.documents, round(only.score, 6)) == (30, 0.8)


def test_what_is_proposed_was_never_tried_and_stays_within_the_bounds_of_a_directive() -> None:
    archive, rng = Archive().add(tried(FIRST, 0.5)), random.Random(0)
    for _ in range(25):
        proposed = archive.propose(rng, max_rank=16)
        assert proposed is not None
        recipe, parent = proposed
        assert key_of(recipe) not in {one.key for one in archive.tried}
        assert recipe.templates
        assert recipe.rank <= 16
        assert EPOCHS[0] <= recipe.epochs <= EPOCHS[1]
        assert LEARNING_RATES[0] <= recipe.learning_rate <= LEARNING_RATES[1]
        archive = archive.add(tried(recipe, 0.5, parent=parent.key))
    assert Archive().propose(rng, max_rank=16) is None


def test_a_mutation_changes_one_thing_and_the_same_seed_changes_the_same() -> None:
    assert mutated(FIRST, random.Random(3), max_rank=32) == mutated(FIRST, random.Random(3), max_rank=32)


def test_a_child_far_below_its_parent_is_not_tried_on_all() -> None:
    assert passes_stage(0.78, 0.8)
    assert not passes_stage(0.6, 0.8)


def test_it_survives_json() -> None:
    archive = Archive().add(tried(FIRST, 0.5)).add(tried(replace(FIRST, rank=4), 0.4, parent=key_of(FIRST)))
    assert archive_from_json(json.loads(json.dumps(archive_json(archive)))) == archive
