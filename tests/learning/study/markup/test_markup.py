"""What models write around self-edits is read, in whatever manner, and in time linear in its length."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealserve.learning.study.self_edit_text import Pair, follow_directive, parse_pairs, reason_of, split_self_edits
from sealserve.prompts import Template
from sealserve.records.candidates import Recipe
from tests.learning.study.canned_answers import FAMILIES, Canned

AGE, COLOUR = Pair(question="How old is it?", answer="12 years"), Pair(question="Is it red?", answer="No.")
DEFAULT = Recipe(
    templates=tuple(Template), rank=8, alpha=16, learning_rate=1e-3, epochs=10, batch_size=16, loss_on_answers=False,
    retention=0.3, seed=1,
)  # fmt: skip


@pytest.fixture(params=FAMILIES)
def canned(request: pytest.FixtureRequest) -> Canned:
    return FAMILIES[request.param]


def test_questions_of_every_family_are_found_with_their_answers(canned: Canned) -> None:
    assert parse_pairs(canned.qa) == tuple(Pair(question=question, answer=answer) for question, answer in canned.pairs)


def test_statements_of_every_family_are_found_and_nothing_else_is_one(canned: Canned) -> None:
    for template in (Template.LONG, Template.IMPLICATIONS, Template.FREE):
        assert split_self_edits(template, canned.facts, is_cut=False) == canned.statements


def test_a_counterexample_of_every_family_says_what_is_right(canned: Canned) -> None:
    (stored,) = split_self_edits(Template.COUNTEREXAMPLE, canned.counterexample, is_cut=False)
    assert stored.startswith("Wrong: ")
    assert reason_of(stored) == canned.reason
    assert reason_of(canned.counterexample) == canned.reason


def test_a_rewrite_of_every_family_is_left_with_its_paragraphs(canned: Canned) -> None:
    assert split_self_edits(Template.REWRITE, canned.rewrite, is_cut=False) == (canned.body,)


@pytest.mark.parametrize(
    "text",
    [
        "**Question 1:** How old is it?\n**Answer:** 12 years\n\n**Question 2:** Is it red?\n**Answer:** No.",
        "1. **Question:** How old is it?\n   **Answer:** 12 years\n2. **Question:** Is it red?\n   **Answer:** No.",
        "**Q: How old is it?**\nA: 12 years\n\n**Q: Is it red?**\nA: No.",
        "**Q1: How old is it?**\n\nA1: 12 years\n\n**Q2: Is it red?**\n\nA2: No.",
        "1. Q: How old is it?\n   A: 12 years\n2. Q: Is it red?\n   A: No.",
        "### Question 1\nHow old is it?\n### Answer\n12 years\n### Question 2\nIs it red?\n### Answer\nNo.",
        "- **Question**: How old is it?\n- **Answer**: 12 years\n- **Question**: Is it red?\n- **Answer**: No.",
        "Question: How old is it?\nAnswer:\n12 years\n\nQuestion: Is it red?\nAnswer:\n\nNo.",
        "1. How old is it?\nA: 12 years\n2. Is it red?\nA: No.",
        "1. How old is it?\n   12 years\n\n2. Is it red?\n   No.",
        "1. **How old is it?** 12 years\n2. **Is it red?** – No.",
        "**Q:** How old is it? **A:** 12 years\n**Q:** Is it red? **A:** No.",
        "| # | Question | Answer |\n|---|:---|---|\n| 1 | How old is it? | 12 years |\n| 2 | Is it red? | No. |",
        '[{"question": "How old is it?", "answer": "12 years"}, {"question": "Is it red?", "answer": "No."}]',
        '{"pairs": [{"Q": "How old is it?", "A": "12 years"}, {"q": "Is it red?", "a": "No."}]}',
        '{"question": "How old is it?", "answer": "12 years"}\n{"question": "Is it red?", "answer": "No."}',
        'Here:\n```json\n[{"question": "How old is it?", "answer": "12 years"},\n'
        '{"question": "Is it red?", "answer": "No."}, {"question": "And wh',
        "**Multiple choice**\n1. How old is it?\nA) 3 years\nB) 12 years\n**Answer:** B\n"
        "2. Is it red?\nA. Yes.\nB. No.\n**Answer:** B. No.",
    ],
)
def test_pairs_are_found_in_every_manner_of_writing_them(text: str) -> None:
    assert parse_pairs(text) == (AGE, COLOUR)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("**Q:** When?\n**A:** At eight in May\nand at nine in June.", "At eight in May and at nine in June."),
        ("Q: When?\nA: At eight in May\nand at nine in June.", "At eight in May and at nine in June."),
        ("**Q:** When?\n**Answer:** It leaves at:\n- eight\n- nine", "It leaves at: eight, nine"),
        ("Q: When?\nA: At eight.\n\nThe end.", "At eight."),
        ("**Question:** When?\n**Answer:** At eight.\n**Explanation:** It says so.", "At eight."),
        ("**Question:** When?\n**Answer:** At eight.\nLet me know if you need more.", "At eight."),
        ("Question: When?\nAnswer: 2**3 is __main__ *a* b", "2**3 is __main__ a b"),
    ],
)  # fmt: skip
def test_an_answer_goes_on_as_far_as_it_is_one(text: str, answer: str) -> None:
    assert parse_pairs(text) == (Pair(question="When?", answer=answer),)


@pytest.mark.parametrize(
    "text",
    [
        "The Question: is it red?",
        "1. It is red.\n2. It is old.",
        "1. Is it red?\n\nThese questions cover the article.",
        "1. Is it red?\n2. Is it old?",
        "| Name | Age |\n|---|---|\n| Odile | 12 |",
        '{"question": "Is it red?"}',
        "{" * 1000,
    ],
)
def test_what_has_no_answer_is_no_pair(text: str) -> None:
    assert parse_pairs(text) == ()


def test_a_stored_pair_reads_as_itself() -> None:
    for canned in FAMILIES.values():
        for pair in parse_pairs(canned.qa):
            assert parse_pairs(pair.text) == (pair,)


@pytest.mark.parametrize(
    "line",
    [
        "Sure!",
        "Sure, here you go:",
        "Here are ten facts about the article",
        "## Facts",
        "**Facts**",
        "---",
        "```",
        "Facts:",
    ],
)
def test_talk_and_headings_are_no_statements(line: str) -> None:
    assert split_self_edits(Template.LONG, f"{line}\n- It is red.", is_cut=False) == ("It is red.",)


@pytest.mark.parametrize(
    "line",
    ["[1] It is red.", "Surely it is red.", "**It is red.**", "It is 2**3.", "Great ships are red.", "In 1987. Then"],
)
def test_a_statement_is_not_taken_for_talk(line: str) -> None:
    assert split_self_edits(Template.LONG, line, is_cut=False) == (line.replace("**It is red.**", "It is red."),)


def test_a_cut_list_of_texts_keeps_those_that_are_whole() -> None:
    assert split_self_edits(Template.LONG, '{"facts": ["It is red.", "It is old.", "It i', is_cut=True) == (
        "It is red.",
        "It is old.",
    )


def test_of_several_counterexamples_the_one_that_is_cut_is_left_out() -> None:
    text = "Wrong: a.\nWhy: b.\n\n**Wrong claim 2:** c.\n**Why:** d."
    assert split_self_edits(Template.COUNTEREXAMPLE, text, is_cut=False) == ("Wrong: a.\nWhy: b.", "Wrong: c.\nWhy: d.")
    assert split_self_edits(Template.COUNTEREXAMPLE, text, is_cut=True) == ("Wrong: a.\nWhy: b.",)


@pytest.mark.parametrize(
    "text",
    [
        'Sure, here it is {as asked}:\n```json\n{"epochs": 4}\n```\nThe set {a, b} is ignored.',
        'So: {"epochs": 4}. Good?',
    ],
)
def test_a_directive_is_found_in_its_fence_and_between_words(text: str) -> None:
    assert follow_directive(text, DEFAULT, max_rank=16)[0].epochs == 4


@given(st.text(st.sampled_from(list('QA:?.*_#|-1 \n\t{}[]"\\`>')), max_size=200), st.sampled_from(Template))
def test_nothing_that_is_written_can_break_the_reading(text: str, template: Template) -> None:
    for self_edit in split_self_edits(template, text, is_cut=False):
        assert self_edit.strip()
    reason_of(text)


@pytest.mark.parametrize(
    "piece",
    ["*", "**a", "**a?", "__a", "Q: ", "Q: a? A: ", "1. ", "| a ", "{", '{"a":', '["', "> ", "#", " ", "```", "- - ",
     "This claim is wrong because ", "here is ", "(", "\\", "**a:", "Why "],
)  # fmt: skip
@pytest.mark.parametrize("joint", ["", "\n"])
def test_reading_takes_time_in_proportion_to_the_text(piece: str, joint: str) -> None:
    text = joint.join([piece] * (10_000 // (len(piece) + len(joint))))
    began = time.process_time()
    for template in Template:
        split_self_edits(template, text, is_cut=False)
    assert time.process_time() - began < 2
