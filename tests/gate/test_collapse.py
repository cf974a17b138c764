"""Collapsed self-edits are never trained on."""

import pytest

from sealserve.gate.collapse import collapse
from sealserve.gate.thresholds import DiversityRule

RULE = DiversityRule(min_distinct=0.2)


def test_enough_diversity_has_nothing_against_it() -> None:
    assert collapse(0.2, RULE) == ""


@pytest.mark.parametrize(
    ("distinct", "words"), [(0.19, "0.19 of their"), (None, "not measured"), (float("nan"), "nan of their")]
)
def test_too_little_of_it_or_none_measured_speaks_against(distinct: float | None, words: str) -> None:
    assert words in collapse(distinct, RULE)
