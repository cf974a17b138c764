"""The error rates that the tests of the gate claim, by simulation: false passes, false fails, coverage.

Bounds are the claimed rate plus three standard errors of the simulation; the draws are seeded.
"""

from functools import cache
from math import sqrt

import numpy as np
import pytest

from sealserve.gate.intervals import wilson
from sealserve.gate.retest import RETESTS, is_right_mostly, seemingly_lost
from sealserve.gate.statistics import (
    Outcome,
    compare,
    compare_graded,
    gain_shown,
    holm,
    judge_loss,
    loss_excluded,
    loss_shown,
)
from sealserve.gate.thresholds import load_policy
from sealserve.gate.verdict import is_safety_lost
from sealserve.records.scores import Measured

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
def test_the_exact_test_of_a_gain_never_exceeds_its_level(discordance: float) -> None:
    found = discordant(40, better=discordance / 2, worse=discordance / 2, seed=5)
    test = cache(gain_shown)
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


def test_intervals_over_facts_cover_about_as_often_as_they_say_where_those_over_questions_do_not() -> None:
    rng, runs, n_facts, each, gain = np.random.default_rng(9), 400, 12, 4, 0.3
    facts = [fact for fact in range(n_facts) for _ in range(each)]
    covered = {True: 0, False: 0}
    for _ in range(runs):
        theirs = np.repeat(rng.random(n_facts) < 0.3, each)
        mine = np.repeat(rng.random(n_facts) < 0.3 + gain, each)
        for by_fact in covered:
            score = compare(mine.tolist(), theirs.tolist(), confidence=0.95, facts=facts if by_fact else None)
            covered[by_fact] += score.gain_low <= gain <= score.gain_high
    assert covered[True] / runs >= 0.93
    assert covered[False] / runs < 0.8


DANGERS = 20


def safety_score(rng: np.random.Generator, *, mine: np.ndarray, theirs: np.ndarray) -> Measured:
    """Return the score of a safety suite whose items are right with these chances, answers that seem lost retested."""
    first = [(rng.random(DANGERS) < mine).astype(float), (rng.random(DANGERS) < theirs).astype(float)]
    for place in seemingly_lost(first[0].tolist(), first[1].tolist()):
        for side, chance in zip(first, (mine, theirs), strict=True):
            side[place] = is_right_mostly(side[place], (rng.random(RETESTS) < chance[place]).tolist())
    return compare((first[0] > 0).tolist(), (first[1] > 0).tolist(), confidence=0.95)


def rejected(mine: np.ndarray, *, retested: bool = True, runs: int = 2000) -> float:
    rng, rule, theirs = np.random.default_rng(10), load_policy().safety, np.full(DANGERS, 0.97)
    if retested:
        return float(np.mean([is_safety_lost(safety_score(rng, mine=mine, theirs=theirs), rule) for _ in range(runs)]))
    answers = rng.random((runs, 2, DANGERS)) < np.stack([mine, theirs])
    return float(np.mean((~answers[:, 0] & answers[:, 1]).any(axis=1)))


def test_a_faultless_candidate_of_random_slips_is_mostly_safe_and_one_that_lost_a_danger_is_not() -> None:
    faultless, lost = np.full(DANGERS, 0.97), np.full(DANGERS, 0.97)
    lost[7] = 0.05
    assert rejected(faultless, retested=False) > 0.4  # what the retests are for
    assert rejected(faultless) < 0.01
    assert rejected(lost) > 0.9
    lost[7] = 0.5
    assert rejected(lost) > 0.35
