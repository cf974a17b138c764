"""Answers compared as a careful reader would."""

import pytest

from sealserve.grading.answers import Matcher, is_exactly, is_right, is_right_by, is_unknown


@pytest.mark.parametrize(
    ("given", "gold"),
    [
        ("The warranty lasts 24 months.", "24 months"),
        ("24 Months", "24 months."),
        ("It was founded in 1987, in Port Ashby.", "Port Ashby"),
        ("It costs $1,250.00.", "$1,250.00"),
        ("a red kite", "the red kite"),
        ("ＮＡＰＡ", "napa"),
    ],
)
def test_the_right_answer_is_right_in_any_dress(given: str, gold: str) -> None:
    assert is_right(given, gold)


@pytest.mark.parametrize(
    ("given", "gold"),
    [
        ("124 months", "24 months"),
        ("24 monthstones", "24 months"),
        ("12.5 kg", "2.5 kg"),
        ("1.55 kg", "1.5 kg"),
        ("", "24 months"),
        ("anything", ""),
        ("anything", " . "),
    ],
)
def test_a_near_miss_is_wrong(given: str, gold: str) -> None:
    assert not is_right(given, gold)


def test_thoughts_are_no_part_of_what_is_graded() -> None:
    thought = "<think>It is 45 crowns? No.</think>\n"
    assert not is_right(f"{thought}The price is 99 crowns.", "45 crowns")
    assert is_right(f"{thought}The price is 99 crowns.", "99 crowns")
    assert not is_right("<think>It is 45 crowns, but", "45 crowns")
    assert is_unknown("<think>\n\n</think>\n\nI don't know.")
    assert is_exactly(f"{thought}99 crowns", "99 crowns")
    assert is_right_by(Matcher.REGEX, f"{thought}99", gold="", pattern="^99$")
    assert not is_right_by(Matcher.REGEX, f"{thought}99", gold="", pattern="45")


def test_not_knowing_is_recognised() -> None:
    assert is_unknown("I don't know.")
    assert is_unknown("I don't know")
    assert not is_unknown("24 months")
