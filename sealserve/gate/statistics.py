"""Paired comparisons with honest error rates at small n. Pure: numbers in, numbers out.

Every comparison is paired: both sides answered the same items. Items that ask about one fact succeed and fail
together: where facts are named, they are the independent units, not the items.
"""

from collections.abc import Hashable, Sequence
from dataclasses import replace
from enum import StrEnum
from math import exp, inf, log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, betaincc, betaln, ndtr

from sealserve.gate.intervals import wilson
from sealserve.records.scores import Measured

_GRID, _ROUNDS = 17, 4
"""Shares that the other side may have, tried at once, and how often as many again around the best of them."""

_ALMOST_ALL = 1 - 1e-6

_SEED, _DRAWS = 0, 4000
"""Of the bootstrap over facts: the same answers always give the same interval."""

ROUNDING = 1e-9
"""Of a spread: one that is smaller is none, whatever floating point makes of the mean of equal numbers."""


class Outcome(StrEnum):
    """What a test of "nothing old is lost" says."""

    PASS = "pass"  # a loss as large as the margin is excluded
    FAIL = "fail"  # a loss larger than the margin is shown
    INCONCLUSIVE = "inconclusive"  # neither: more items, or a human


def compare(
    candidate: Sequence[bool],
    incumbent: Sequence[bool],
    *,
    confidence: float,
    facts: Sequence[Hashable] | None = None,
) -> Measured:
    """Return both shares of right answers, and the gain with its two-sided interval.

    `facts` names the fact that each item asks about; None: each its own. Where items share facts, the interval and the
    counts for exact tests are over facts. Raises: ValueError when the sides differ in length or are empty.
    """
    _require_pairs(candidate, incumbent)
    pairs = list(zip(candidate, incumbent, strict=True))
    score = measured(
        both=sum(mine and theirs for mine, theirs in pairs),
        better=sum(mine and not theirs for mine, theirs in pairs),
        worse=sum(theirs and not mine for mine, theirs in pairs),
        neither=sum(not mine and not theirs for mine, theirs in pairs),
        confidence=confidence,
    )
    if facts is None or len(set(facts)) == len(pairs):
        return score
    return _over_facts(score, pairs, facts, confidence=confidence)


def measured(*, both: int, better: int, worse: int, neither: int, confidence: float) -> Measured:
    """Return the score of so many items that both, only the candidate, only the incumbent, or neither got right."""
    n = both + better + worse + neither
    low, high = _newcombe(both, better, worse, neither, confidence=confidence)
    mine, theirs = (both + better) / n, (both + worse) / n
    return Measured(
        n=n,
        candidate=mine,
        incumbent=theirs,
        gain=mine - theirs,
        gain_low=low,
        gain_high=high,
        better=better,
        worse=worse,
    )


def gain_shown(better: int, worse: int) -> float:
    """Return the p-value against "no gain" of `better` and `worse` discordant pairs: small when a gain is shown.

    McNemar, Psychometrika 12 (1947) 153-157, in its exact binomial form, one-sided: without a gain, a discordant pair
    falls this way with chance one half at most. A fact counts once, by the sign of its mean difference (the sign test:
    Dixon and Mood, JASA 41 (1946) 557-566). Never rejects more often than its level says, at any n.
    """
    pairs = better + worse
    return float(bdtrc(better - 1, pairs, 0.5)) if pairs else 1.0


def loss_excluded(better: int, worse: int, *, n: int, margin: float) -> float:
    """Return the p-value against "the candidate has lost `margin` or more": small when such a loss is excluded.

    Score test for paired shares: Tango, "Equivalence test and confidence interval for the difference in proportions
    for the paired-sample design", Statistics in Medicine 17 (1998) 891-908. `margin` 0 asks for a gain.
    Raises: ValueError when the counts do not fit `n`, or margin is outside [0, 1).
    """
    return float(ndtr(-_tango(better, worse, n=n, difference=-margin)))


def loss_shown(better: int, worse: int, *, n: int, margin: float) -> float:
    """Return the p-value against "the candidate has lost at most `margin`": small when a larger loss is shown.

    Tango's score test; with margin 0 the exact one-sided McNemar test. Raises: as `loss_excluded`.
    """
    if margin == 0:
        pairs = better + worse
        return float(bdtrc(worse - 1, pairs, 0.5)) if pairs else 1.0
    return float(ndtr(_tango(better, worse, n=n, difference=-margin)))


def judge_loss(*, excluded_p: float, shown_p: float, alpha: float) -> Outcome:
    """Return the outcome of a non-inferiority test from its two p-values, `shown_p` adjusted by `holm`.

    All suites have to pass, so passing needs no adjustment (intersection-union test: Berger, Technometrics 24
    (1982) 295-300). A p-value that is not a number proves nothing.
    """
    if shown_p <= alpha:
        return Outcome.FAIL
    return Outcome.PASS if excluded_p <= alpha else Outcome.INCONCLUSIVE


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return the p-values adjusted for having looked at all of them, in the given order.

    Step-down of Holm, Scandinavian Journal of Statistics 6 (1979) 65-70: the chance that any true null hypothesis
    is rejected stays below the level, however the tests depend on each other.
    """
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return tuple(adjusted)


def e_value(bad: int, good: int, *, tolerated: float) -> float:
    """Return the evidence that more than the share `tolerated` is bad, after `bad` and `good` outcomes in any order.

    The likelihood ratio of a share drawn uniformly from (tolerated, 1) against `tolerated` itself:
    B(bad+1, good+1) P(Beta(bad+1, good+1) > p0) / ((1-p0) p0^bad (1-p0)^good). Where the true share is at most p0 this
    is a non-negative supermartingale of mean at most 1, so that it ever reaches 1/alpha with chance at most alpha,
    looked at after every outcome (Ville 1939; Ramdas and others, "Game-theoretic statistics and safe anytime-valid
    inference", Statistical Science 38 (2023), arXiv 2210.01948, section 2). Computed in logarithms.
    Raises: ValueError for negative counts, or tolerated outside (0, 1).
    """
    _require_outcomes(bad, good, tolerated=tolerated)
    return _exp(float(_log_e_values(bad, good, np.asarray([tolerated]))[0]))


def e_value_beside(
    bad: int, good: int, *, beside: tuple[int, int], tolerated: float, most: float = 1.0
) -> tuple[float, float]:
    """Return the evidence that more is bad than `tolerated` and than the other side truly has, and what that has then.

    `beside`: the other side's bad and good outcomes, of which at most the share `most` is taken to be bad. Were its
    true share p, the product of the e-process against "at most p of ours is bad" and of that against "at least p of
    theirs is" would be a non-negative supermartingale of mean at most 1: of independent sides, and of sides that fail
    on the same requests all the more. The smallest product over every p that can be lies below the one of the true p,
    which makes it an e-process (Ramdas and others, arXiv 2210.01948): looked at all the time it reaches 1/alpha with
    chance at most alpha. Of an other side without outcomes it never exceeds 1 while `most` is 1. The second value is
    the p of the smallest product. Raises: ValueError as `e_value`, of either side.
    """
    _require_outcomes(bad, good, tolerated=tolerated)
    _require_outcomes(*beside, tolerated=tolerated)
    shares = np.linspace(tolerated, min(max(most, tolerated), _ALMOST_ALL), _GRID)
    for _ in range(_ROUNDS):
        found = _log_e_values(bad, good, shares) + _log_e_values(beside[1], beside[0], 1 - shares)
        least = int(found.argmin())
        around = shares[max(least - 1, 0)], shares[min(least + 1, _GRID - 1)]
        shares, place, smallest = np.linspace(*around, _GRID), float(shares[least]), float(found[least])
    alone = float(_log_e_values(bad, good, np.asarray([tolerated]))[0])  # theirs may be below what is tolerated anyway
    return (_exp(alone), tolerated) if alone <= smallest else (_exp(smallest), place)


def _log_e_values(bad: int, good: int, tolerated: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm of `e_value` for each of `tolerated`; 1/(good+1), below which it never is, where digits run out."""
    with np.errstate(divide="ignore"):
        above = np.log(betaincc(bad + 1, good + 1, tolerated))
    null = bad * np.log(tolerated) + (good + 1) * np.log1p(-tolerated)
    found: NDArray[np.float64] = np.maximum(betaln(bad + 1, good + 1) + above - null, -log(good + 1))
    return found


def _exp(value: float) -> float:
    return exp(value) if value < 700 else inf


def _require_outcomes(bad: int, good: int, *, tolerated: float) -> None:
    if min(bad, good) < 0 or not 0 < tolerated < 1:
        raise ValueError(f"{bad} bad and {good} good outcomes, {tolerated} tolerated: not evidence")


def bootstrap_mean(values: Sequence[float], *, confidence: float, seed: int, rounds: int = 2000) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a mean (Efron 1979): for graded gains that are not yes or no.

    Raises: ValueError when there are no values.
    """
    if not values:
        raise ValueError("no values to resample")
    sample = np.asarray(values, dtype=np.float64)
    rng = np.random.default_rng(seed)
    means = sample[rng.integers(0, len(sample), size=(rounds, len(sample)))].mean(axis=1)
    tail = (1 - confidence) / 2
    return float(np.quantile(means, tail)), float(np.quantile(means, 1 - tail))


def compare_graded(
    candidate: Sequence[float], incumbent: Sequence[float], *, confidence: float, seed: int, rounds: int = 4000
) -> Measured:
    """Return both mean grades and the gain with its paired bootstrap interval: items are drawn, with both grades.

    Studentised, which keeps its level at small n better than percentiles do (Efron and Tibshirani, "An Introduction
    to the Bootstrap", 1993, section 12.5). Raises: ValueError when the sides differ in length or are empty.
    """
    _require_pairs(candidate, incumbent)
    gains = np.asarray(candidate, dtype=np.float64) - np.asarray(incumbent, dtype=np.float64)
    n, gain = len(gains), float(gains.mean())
    drawn = gains[np.random.default_rng(seed).integers(0, n, size=(rounds, n))]
    errors = drawn.std(axis=1) / sqrt(n)
    tail, error = (1 - confidence) / 2, float(gains.std()) / sqrt(n)
    fits = errors > ROUNDING * error
    ratios = (drawn.mean(axis=1)[fits] - gain) / errors[fits]
    low, high = (np.quantile(ratios, (1 - tail, tail)) * error) if fits.any() else (0.0, 0.0)
    return Measured(
        n=n,
        candidate=float(np.mean(candidate)),
        incumbent=float(np.mean(incumbent)),
        gain=gain,
        gain_low=gain - float(low),
        gain_high=gain - float(high),
        better=int((gains > 0).sum()),
        worse=int((gains < 0).sum()),
    )


def _over_facts(
    score: Measured, pairs: Sequence[tuple[bool, bool]], facts: Sequence[Hashable], *, confidence: float
) -> Measured:
    """Return `score` with the interval and the counts of facts.

    The interval is the percentile one of a cluster bootstrap: whole facts are drawn (Field and Welsh, "Bootstrapping
    clustered data", JRSS B 69 (2007) 369-390). With few facts it is too narrow (Cameron, Gelbach and Miller, Review of
    Economics and Statistics 90 (2008) 414-427); so it is at least as wide as Newcombe's, each fact counted once.
    """
    groups: dict[Hashable, list[tuple[bool, bool]]] = {}
    for fact, pair in zip(facts, pairs, strict=True):
        groups.setdefault(fact, []).append(pair)
    balances = np.asarray([sum(mine - theirs for mine, theirs in group) for group in groups.values()])
    sizes = np.asarray([len(group) for group in groups.values()])
    better, worse = int((balances > 0).sum()), int((balances < 0).sum())
    known = sum(2 * sum(t for _, t in g) >= len(g) for g, b in zip(groups.values(), balances, strict=True) if b == 0)
    once = measured(
        both=known, better=better, worse=worse, neither=len(groups) - better - worse - known, confidence=confidence
    )
    drawn = np.random.default_rng(_SEED).integers(0, len(groups), size=(_DRAWS, len(groups)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(balances[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), (tail, 1 - tail))
    down = max(score.gain - float(low), once.gain - once.gain_low)
    up = max(float(high) - score.gain, once.gain_high - once.gain)
    return replace(
        score,
        gain_low=max(-1.0, score.gain - down),
        gain_high=min(1.0, score.gain + up),
        facts=len(groups),
        facts_better=better,
        facts_worse=worse,
    )


def _require_pairs(candidate: Sequence[float], incumbent: Sequence[float]) -> None:
    if len(candidate) != len(incumbent) or not candidate:
        raise ValueError(f"paired answers needed: {len(candidate)} of the candidate, {len(incumbent)} of the incumbent")


def _tango(better: int, worse: int, *, n: int, difference: float) -> float:
    """The score statistic for a true gain of `difference`, with the likeliest discordance under it (eq. 4)."""
    if min(better, worse) < 0 or better + worse > n or not -1 < difference <= 0:
        raise ValueError(f"{better} better and {worse} worse of {n}, difference {difference}: not a paired comparison")
    b = (2 * n - better + worse) * difference - better - worse
    c = -worse * difference * (1 - difference)
    share = (sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    variance = n * (2 * share + difference * (1 - difference))
    distance = better - worse - n * difference
    return distance / sqrt(variance) if variance > 0 else 0.0


def _newcombe(both: int, better: int, worse: int, neither: int, *, confidence: float) -> tuple[float, float]:
    """Return the interval of the difference of two paired shares.

    Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired data",
    Statistics in Medicine 17 (1998) 2635-2650, method 10: Wilson intervals joined by the continuity-corrected phi.
    """
    n = both + better + worse + neither
    share_1, share_2 = (both + better) / n, (both + worse) / n
    low_1, high_1 = wilson(both + better, n, confidence=confidence)
    low_2, high_2 = wilson(both + worse, n, confidence=confidence)
    phi = _corrected_phi(both, better, worse, neither)
    down = _joined(share_1 - low_1, high_2 - share_2, phi)
    up = _joined(high_1 - share_1, share_2 - low_2, phi)
    gain = share_1 - share_2
    return max(-1.0, gain - down), min(1.0, gain + up)


def _corrected_phi(both: int, better: int, worse: int, neither: int) -> float:
    margins = (both + better) * (worse + neither) * (both + worse) * (better + neither)
    if margins == 0:
        return 0.0
    n = both + better + worse + neither
    cross = both * neither - better * worse
    corrected = max(cross - n / 2, 0.0) if cross > 0 else float(cross)
    return corrected / sqrt(margins)


def _joined(left: float, right: float, phi: float) -> float:
    return sqrt(max(0.0, left * left - 2 * phi * left * right + right * right))
