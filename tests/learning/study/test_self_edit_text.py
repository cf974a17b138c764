"""What the model wrote, taken apart; its wishes, bounded."""

from dataclasses import replace

import pytest

from sealserve.learning.study.self_edit_text import (
    EPOCHS,
    LEARNING_RATES,
    Pair,
    follow_directive,
    parse_pairs,
    reason_of,
    split_self_edits,
)
from sealserve.prompts import Template
from sealserve.records.candidates import Recipe

DEFAULT = Recipe(
    templates=tuple(Template),
    rank=8,
    alpha=16,
    learning_rate=1e-3,
    epochs=10,
    batch_size=16,
    loss_on_answers=False,
    retention=0.3,
    seed=1,
)


@pytest.mark.parametrize(
    "text",
    [
        "Question: How old is it?\nAnswer: 12 years",
        "Q: How old is it?\nA: 12 years",
        "Question 1: How old is it?\n\nAnswer 1: 12 years\n",
        "- Question: How old is it?\n- Answer: 12 years",
        "noise\nquestion: How old is it?\nanswer: 12 years\nmore noise",
    ],
)
def test_question_and_answer_are_found_in_any_usual_form(text: str) -> None:
    assert parse_pairs(text) == (Pair(question="How old is it?", answer="12 years"),)


def test_a_question_without_an_answer_is_skipped() -> None:
    assert parse_pairs("Question: one?\nQuestion: two?\nAnswer: yes") == (Pair(question="two?", answer="yes"),)


def test_a_cut_off_answer_costs_only_the_note_it_was_cut_in() -> None:
    assert split_self_edits(Template.LONG, "- one thing\n- another thi", is_cut=True) == ("one thing",)
    assert split_self_edits(Template.QA, "Question: a?\nAnswer: b\nQuestion: c?\nAnswer: d", is_cut=True) == (
        "Question: a?\nAnswer: b",
    )
    assert split_self_edits(Template.REWRITE, "half a rewr", is_cut=True) == ()


def test_lists_lose_their_bullets_and_numbers() -> None:
    text = "- one\n2. two\n* three\n\n• four\n5) five"
    assert split_self_edits(Template.IMPLICATIONS, text, is_cut=False) == ("one", "two", "three", "four", "five")


def test_only_the_right_half_of_a_counterexample_is_taught() -> None:
    assert reason_of("Wrong: it is red.\nWhy: it is green.") == "it is green."
    assert reason_of("it is red") == ""


def test_a_directive_is_followed_within_bounds() -> None:
    wish = '{"learning_rate": 1.0, "epochs": 900, "rank": 64, "templates": ["qa", "nonsense"], "loss": "answers"}'
    recipe, remark = follow_directive(wish, DEFAULT, max_rank=16)
    assert recipe.learning_rate == LEARNING_RATES[1]
    assert recipe.epochs == EPOCHS[1]
    assert (recipe.rank, recipe.alpha) == (16, 32)
    assert recipe.templates == (Template.QA,)
    assert recipe.loss_on_answers
    assert remark.startswith("followed")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I would train for ten epochs.",
        "[1, 2]",
        '{"epochs": true}',
        '{"epochs": 1e400}',
        '{"learning_rate": NaN}',
        '{"rank": 7}',
        '{"templates": []}',
        '{"loss": "none"}',
        '{"__import__": "os"}',
        "{" * 100_000,
    ],
)
def test_a_directive_that_makes_no_sense_changes_nothing(text: str) -> None:
    recipe, remark = follow_directive(text, DEFAULT, max_rank=16)
    assert recipe == DEFAULT
    assert remark


def test_numbers_beyond_all_measure_are_ignored() -> None:
    text = '{"learning_rate": 1' + "0" * 400 + ', "epochs": -1e400, "rank": true}'
    recipe, remark = follow_directive(text, DEFAULT, max_rank=32)
    assert recipe == DEFAULT
    assert remark == "followed nothing; ignored epochs, learning_rate, rank"


def test_only_templates_that_the_default_has_can_be_asked_for() -> None:
    few = replace(DEFAULT, templates=(Template.QA, Template.LONG))
    recipe, _ = follow_directive('{"templates": ["free", "rewrite", "long"]}', few, max_rank=32)
    assert recipe.templates == (Template.LONG,)
