"""The error rates that the tests of the gate claim, by simulation: false passes, false fails, coverage.

Bounds are the claimed rate plus three standard errors of the simulation; the draws are seeded.
"""

from functools import cache
from math import sqrt

import numpy as np
import pytest

from sealserve.gate.intervals import wilson
from sealserve.gate.statistics import (
    Outcome,
    compare_graded,
    holm,
    judge_loss,
    loss_excluded,
    loss_shown,
    mcnemar_exact,
)

pytestmark = pytest.mark.slow  # simulates thousands of verdicts

RUNS = 5_000
ALPHA = 0.05


def share_bound(rate: float, runs: int = RUNS) -> float:
    return rate + 3 * sqrt(rate * (1 - rate) / runs)


def discordant(n: int, *, better: float, worse: float, seed: int, runs: int = RUNS) -> np.ndarray:
    """Return counts of shape (runs, 2): better and worse of `n` pairs."""
    return np.random.default_rng(seed).multinomial(n, [better, worse, 1 - better - worse], size=runs)[:, :2]


@cache
def outcome(better: int, worse: int, *, n: int, margin: float) -> Outcome:
    p_values = {"n": n, "margin": margin}
    return judge_loss(
        excluded_p=loss_excluded(better, worse, **p_values),  # type: ignore[arg-type]
        shown_p=loss_shown(better, worse, **p_values),  # type: ignore[arg-type]
        alpha=ALPHA,
    )


def rate(wanted: Outcome, pairs: np.ndarray, *, n: int, margin: float) -> float:
    return float(np.mean([outcome(int(b), int(w), n=n, margin=margin) is wanted for b, w in pairs]))


@pytest.mark.parametrize("n", [100, 300, 1000])
@pytest.mark.parametrize("noise", [0.005, 0.02, 0.10])
def test_a_candidate_that_lost_the_margin_seldom_passes(n: int, noise: float) -> None:
    lost = discordant(n, better=noise, worse=noise + 0.05, seed=n)
    assert rate(Outcome.PASS, lost, n=n, margin=0.05) <= share_bound(ALPHA) + 0.01


@pytest.mark.parametrize("n", [100, 300, 1000])
@pytest.mark.parametrize("noise", [0.005, 0.02, 0.10])
def test_a_candidate_that_lost_no_more_than_the_margin_seldom_fails(n: int, noise: float) -> None:
    lost = discordant(n, better=noise, worse=noise + 0.05, seed=n + 1)
    assert rate(Outcome.FAIL, lost, n=n, margin=0.05) <= share_bound(ALPHA) + 0.015
    same = discordant(n, better=noise, worse=noise, seed=n + 2)
    assert rate(Outcome.FAIL, same, n=n, margin=0.05) <= 0.005


def test_an_unchanged_candidate_mostly_passes_and_a_ruined_one_always_fails() -> None:
    same = discordant(300, better=0.01, worse=0.01, seed=3)
    assert rate(Outcome.PASS, same, n=300, margin=0.05) >= 0.99
    ruined = discordant(300, better=0.01, worse=0.21, seed=4)
    assert rate(Outcome.FAIL, ruined, n=300, margin=0.05) >= 0.999


@pytest.mark.parametrize("discordance", [0.05, 0.3, 1.0])
def test_exact_mcnemar_never_exceeds_its_level(discordance: float) -> None:
    found = discordant(40, better=discordance / 2, worse=discordance / 2, seed=5)
    test = cache(mcnemar_exact)
    assert np.mean([test(int(b), int(w)) <= ALPHA for b, w in found]) <= share_bound(ALPHA)


def test_holm_refuses_any_of_four_sound_suites_seldom() -> None:
    p_values = np.random.default_rng(6).uniform(size=(RUNS, 4))
    assert np.mean([min(holm(row)) <= ALPHA for row in p_values.tolist()]) <= share_bound(ALPHA)
    assert np.mean(p_values.min(axis=1) <= ALPHA) > 0.15  # what it protects from


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_wilson_covers_about_as_often_as_it_says(share: float) -> None:
    interval = cache(lambda k: wilson(k, 60, confidence=0.95))
    drawn = np.random.default_rng(7).binomial(60, share, size=RUNS)
    covered = np.mean([interval(k)[0] <= share <= interval(k)[1] for k in drawn.tolist()])
    assert covered >= 0.93


def test_graded_intervals_cover_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(8)
    runs, n, gain = 500, 40, 0.05
    theirs = rng.beta(2, 2, size=(runs, n)) * 0.9
    mine = theirs + gain + rng.normal(0, 0.1, size=(runs, n))
    scores = [
        compare_graded(a, b, confidence=0.9, seed=seed, rounds=800)
        for seed, (a, b) in enumerate(zip(mine.tolist(), theirs.tolist(), strict=True))
    ]
    covered = np.mean([score.gain_low <= gain <= score.gain_high for score in scores])
    assert 0.9 - 3 * sqrt(0.09 / runs) <= covered <= 0.95
