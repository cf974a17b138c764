"""Paired comparisons with honest intervals at small n. Pure: numbers in, numbers out.

Knows nothing of what was measured. Every comparison is paired: both sides answered the same items.
"""

from collections.abc import Sequence
from math import comb, sqrt
from statistics import NormalDist

import numpy as np

from sealserve.records import Measured


def compare(candidate: Sequence[bool], incumbent: Sequence[bool], *, confidence: float) -> Measured:
    """Return both shares of right answers, and the gain with its two-sided interval.

    Raises: ValueError when the sides differ in length or are empty.
    """
    if len(candidate) != len(incumbent) or not candidate:
        raise ValueError(f"paired answers needed: {len(candidate)} of the candidate, {len(incumbent)} of the incumbent")
    n = len(candidate)
    low, high = newcombe_paired(candidate, incumbent, confidence=confidence)
    mine, theirs = sum(candidate) / n, sum(incumbent) / n
    return Measured(n=n, candidate=mine, incumbent=theirs, gain=mine - theirs, gain_low=low, gain_high=high)


def newcombe_paired(candidate: Sequence[bool], incumbent: Sequence[bool], *, confidence: float) -> tuple[float, float]:
    """Return the interval of the difference of two paired shares.

    Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired data",
    Statistics in Medicine 17 (1998) 2635-2650, method 10: Wilson intervals joined by the continuity-corrected phi.
    """
    pairs = list(zip(candidate, incumbent, strict=True))
    n = len(pairs)
    both = sum(1 for mine, theirs in pairs if mine and theirs)
    better = sum(1 for mine, theirs in pairs if mine and not theirs)
    worse = sum(1 for mine, theirs in pairs if theirs and not mine)
    share_1, share_2 = (both + better) / n, (both + worse) / n
    low_1, high_1 = wilson(both + better, n, confidence=confidence)
    low_2, high_2 = wilson(both + worse, n, confidence=confidence)
    phi = _corrected_phi(both, better, worse, n - both - better - worse)
    down = _joined(share_1 - low_1, high_2 - share_2, phi)
    up = _joined(high_1 - share_1, share_2 - low_2, phi)
    gain = share_1 - share_2
    return max(-1.0, gain - down), min(1.0, gain + up)


def wilson(successes: int, n: int, *, confidence: float) -> tuple[float, float]:
    """Return the score interval of a share (Wilson, JASA 22 (1927) 209-212). Raises: ValueError when n is 0."""
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is not a share")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / n
    centre = share + z * z / (2 * n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def mcnemar_exact(better: int, worse: int) -> float:
    """Return the two-sided p-value of `better` against `worse` discordant pairs (McNemar 1947, exact binomial form)."""
    n = better + worse
    tail = sum(comb(n, k) for k in range(min(better, worse) + 1))
    return min(1.0, float(tail / 2 ** (n - 1))) if n else 1.0


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
