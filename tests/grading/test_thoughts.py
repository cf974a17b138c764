"""Thoughts are cut from the front of an answer, whatever marks the model puts around them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealserve.grading.thoughts import without_thoughts


@pytest.mark.parametrize(
    "text",
    [
        "<think>\nThe user wants one line.\n</think>\n\nBy the pier.",
        "<think>\n\n</think>\n\nBy the pier.",  # what Qwen3 writes when it was told not to think
        "\n <Think>hm</THINK>By the pier.",
        "<thinking>hm</thinking>\nBy the pier.",
        "<thought>hm</thought>By the pier.",
        "<reasoning>hm</reasoning>By the pier.",
        "<seed:think>hm</seed:think>By the pier.",
        "<|think|>hm<|/think|>By the pier.",
        "[THINK]hm[/THINK]By the pier.",
        "◁think▷hm◁/think▷By the pier.",
        "<|START_THINKING|>hm<|END_THINKING|>By the pier.",
        "<|begin_of_thought|>hm<|end_of_thought|>By the pier.",
        "<|channel>thought\nhm<channel|>By the pier.",
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>By the pier.",
        "The template has opened them.\n</think>\n\nBy the pier.",
        "By the pier.",
    ],
)
def test_only_the_answer_is_left(text: str) -> None:
    assert without_thoughts(text) == "By the pier."


@pytest.mark.parametrize("text", ["<think>\nFirst, the office", "<think>", "[THINK] hm", "<think>hm</thinking> so"])
def test_thoughts_that_never_end_leave_no_answer(text: str) -> None:
    assert without_thoughts(text) is None


@pytest.mark.parametrize(
    "text",
    ["", "  as it stands \n", "Write <think> and </think> around it.", "I think </p> closes it.", "<b>bold</b> words"],
)
def test_text_that_begins_with_no_thoughts_stays_as_it_is(text: str) -> None:
    assert without_thoughts(text) == text


@given(st.text(), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_letters_whose_lower_case_is_longer_shift_nothing(thoughts: str, answer: str) -> None:
    if "</think>" not in thoughts.lower():
        assert without_thoughts(f"<think>İ{thoughts}</think>{answer}") == answer.lstrip()
