"""Confidence intervals that need no scientific libraries, for the gate and for the command line."""

from math import sqrt
from statistics import NormalDist


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
