"""Records that an earlier release wrote are still read."""

import pytest

from sealserve.canonical import Json
from sealserve.errors import BadConfig
from sealserve.learning.editor.recipe_archive import archive_from_json
from sealserve.prompts import Template
from sealserve.records.candidates import Recipe
from sealserve.records.renamed_fields import EARLIER_NAMES
from sealserve.records.rewards import EARLIER_NAMES as EARLIER_REWARDS
from sealserve.records.rewards import is_reward
from sealserve.records.scores import Measured, PairCounts
from sealserve.records.step_outputs import Confirmed, Trained, Written, from_json, to_json
from sealserve.settings.settings import load_settings

OLD_RECIPE: Json = {
    "templates": ["qa"],
    "rank": 8,
    "alpha": 16,
    "learning_rate": 0.003,
    "epochs": 4,
    "batch_size": 12,
    "loss_on_answers": False,
    "rehearsal": 0.45,
    "seed": 7,
    "target": "likelihood",
    "kept_weight": 20.0,
    "change_weight": 10.0,
    "stop_loss": 0.0,
}
RECIPE = Recipe(
    templates=(Template.QA,),
    rank=8,
    alpha=16,
    learning_rate=0.003,
    epochs=4,
    batch_size=12,
    loss_on_answers=False,
    retention=0.45,
    seed=7,
    kl_weight=20.0,
    weight_change_penalty=10.0,
)


def test_a_recipe_is_read_by_its_earlier_names_and_written_by_the_new_ones() -> None:
    assert from_json(Recipe, OLD_RECIPE) == RECIPE
    assert from_json(Recipe, to_json(RECIPE)) == RECIPE
    assert not to_json(RECIPE).keys() & set(EARLIER_NAMES.values())


def test_recipes_inside_other_records_are_read_by_their_earlier_names() -> None:
    short = {"index": 0, "recipe": OLD_RECIPE, "steps": 3, "losses": [1.0], "score": None}
    trained = {"candidates": [0], "directives": [], "settings_digest": "", "short_trials": [short]}
    assert from_json(Trained, trained).short_trials[0].recipe == RECIPE
    (tried,) = archive_from_json([{"recipe": OLD_RECIPE, "score": 0.5, "documents": 4, "parent": ""}]).tried
    assert tried.recipe == RECIPE


def test_written_output_is_read_by_its_earlier_names() -> None:
    proposal = {"document": "d", "question": "q?", "answer": "a", "spoken": "It is a.", "is_given": False}
    old = {"quiz": [proposal], "directives": [], "rehearsal": [{"prompt": "p", "completion": "c"}], "evaluation": []}
    written = from_json(Written, old)
    assert written.quiz[0].reference_text == "It is a."
    assert [reference.completion for reference in written.retention] == ["c"]
    assert not to_json(written).keys() & set(EARLIER_NAMES.values())


def test_scores_without_pair_counts_get_the_fewest_pairs_that_give_their_gain() -> None:
    score = {"n": 10, "candidate": 0.7, "incumbent": 0.9, "gain": -0.2, "gain_low": -0.5, "gain_high": 0.1}
    card = {"confirm": score, "replay": {"because": "first"}, "canary": {"why": "away"}, "unknown": {"why": "away"}}
    confirmed = from_json(Confirmed, {"scorecard": {**card, "suites": {"tone@1": score}}})
    for found in (confirmed.scorecard.confirm, confirmed.scorecard.suites["tone@1"]):
        assert isinstance(found, Measured)
        assert (found.better, found.worse) == (0, 2)
        assert found.independent == PairCounts(n=10, better=0, worse=2)
    assert confirmed.scorecard.open_book is None


@pytest.mark.parametrize(("old", "new"), EARLIER_REWARDS.items())
def test_an_earlier_reward_is_read_in_lineage_and_refused_in_settings_with_its_new_name(old: str, new: str) -> None:
    assert is_reward(f"{old}:4", EARLIER_REWARDS[old])
    assert is_reward(str(new), EARLIER_REWARDS[old])
    for wrong in ({"learn.reward.kind": old}, {"learn.reward.tenant_kinds": {"acme": old}}):
        with pytest.raises(BadConfig, match=f"{old} is now {new}"):
            load_settings(overrides=wrong)
