"""Patterns that a tenant sets: useful ones work, and none can keep the matcher busy."""

import time

import pytest

from sealserve.grading.answers import Matcher, f1, is_exactly, is_right_by
from sealserve.grading.patterns import MAX_MATCHED_CHARACTERS, MAX_PATTERN_CHARACTERS, matches, pattern_fault


@pytest.mark.parametrize(
    ("pattern", "given"),
    [
        (r"\b45 crowns\b", "It costs 45 Crowns."),
        (r"(?:45|forty-five) crowns?", "forty-five crown"),
        (r"^\d+ months$", "36 months"),
        (r"[a-z]+@[a-z]+\.org", "write to help@example.org"),
        (r"a{3}", "aaa"),
        (r"\(45\)", "(45)"),
    ],
)
def test_useful_patterns_are_taken_and_found(pattern: str, given: str) -> None:
    assert pattern_fault(pattern) == ""
    assert matches(given, pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(a+)+$", r"(a|a)*b", r"(a?){30}a{30}", r"a?" * 30 + "a" * 30, r"a*a*a*b", r"(a)\1", r"(?=a)", r"(?i)a", "(",
        "", "x" * (MAX_PATTERN_CHARACTERS + 1), "(?:a|a)" * 25 + "b",
    ],
)  # fmt: skip
def test_patterns_that_could_run_for_ever_or_are_none_are_refused_and_found_nowhere(pattern: str) -> None:
    assert pattern_fault(pattern)
    assert not matches("a" * 100, pattern)


def test_only_the_beginning_of_an_answer_is_looked_at() -> None:
    assert not matches("b" * MAX_MATCHED_CHARACTERS + "a", "a")


def test_the_worst_pattern_that_is_taken_ends() -> None:
    started = time.monotonic()
    assert not matches("a" * 10_000, r"a*a*b")
    assert time.monotonic() - started < 30


def test_rules_differ_in_what_they_ask() -> None:
    assert is_exactly("The 24 months.", "24 months")
    assert not is_exactly("It is 24 months", "24 months")
    assert is_right_by(Matcher.CONTAINS, "It is 24 months", gold="24 months")
    assert not is_right_by(Matcher.EXACT, "It is 24 months", gold="24 months")
    assert is_right_by(Matcher.REGEX, "It is 24 months", gold="2 years", pattern=r"\b24\b")


def test_f1_is_the_share_of_words_in_common() -> None:
    assert f1("24 months", "24 months") == 1.0
    assert f1("it is 24 months", "24 months") == pytest.approx(2 / 3)
    assert f1("red", "24 months") == f1("", "24 months") == f1("x", "") == 0.0
