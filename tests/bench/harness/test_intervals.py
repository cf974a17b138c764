"""Shares and their intervals: documents are drawn, not questions."""

import pytest

from sealserve.bench.harness.intervals import gains, share, with_goals


def test_a_share_is_the_mean_of_all_answers() -> None:
    got = share([[True, True], [False, True]])
    assert (got.value, got.n, got.documents) == (0.75, 4, 2)
    assert got.low <= got.value <= got.high


def test_answers_on_one_document_count_as_one_draw() -> None:
    together = share([[1.0] * 20, [0.0] * 20] * 5)
    apart = share([[1.0], [0.0]] * 100)
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        rates = rng.beta(2, 2, size=24)
        got = share([rng.binomial(1, rate, size=20).tolist() for rate in rates], seed=seed)
        hits += got.low <= 0.5 <= got.high
    assert 176 <= hits <= 200  # 95 % of 200, less what a percentile interval of 24 draws loses


def test_gains_are_paired_by_question() -> None:
    assert gains([[True, False]], [[False, False]]) == [[1, 0]]
    with pytest.raises(ValueError):
        gains([[True]], [[True, False]])


def test_no_answers_are_not_a_zero() -> None:
    with pytest.raises(ValueError, match="no answers"):
        share([[], []])
    assert with_goals({}, {"gain": (">=", 0.1)})["gain"] == {"measured": None, "goal": ">= 0.1", "is_met": False}
