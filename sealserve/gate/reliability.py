"""How far a reward can be trusted: reliability coefficients and standard errors. Pure: numbers in, numbers out.

Coefficients after Shrout and Fleiss, "Intraclass correlations: uses in assessing rater reliability", Psychological
Bulletin 86 (1979) 420-428.
"""

from collections.abc import Sequence
from math import sqrt

import numpy as np

from sealserve.records.scores import Reliability


def reliability(scores: Sequence[Sequence[float]], recipes: Sequence[int]) -> Reliability:
    """Return the reliability of `scores[candidate][item]`; candidates with the same entry of `recipes` differ in seed.

    Raises: ValueError when rows differ in length or there is not one recipe for each.
    """
    if len(scores) != len(recipes) or len({len(row) for row in scores}) > 1:
        raise ValueError("one recipe for each candidate, and the same items for all, needed")
    scores_CN = np.asarray(scores, dtype=np.float64)
    items = scores_CN.shape[1] if scores_CN.ndim == 2 else 0
    seeds = max((list(recipes).count(recipe) for recipe in recipes), default=0)
    between, within, over_seeds = _over_seeds(scores_CN, recipes) if items and seeds > 1 else (None, None, None)
    if between is None and items and seeds == 1 and len(scores) > 1:
        between = _between_by_items(scores_CN)
    return Reliability(
        candidates=len(scores),
        seeds=seeds,
        items=items,
        item_error=float(np.mean([standard_error(row) for row in scores])) if len(scores) and items > 1 else None,
        between_candidates=between,
        between_seeds=within,
        over_items=_over_items(scores_CN) if len(scores) > 1 and items > 1 else None,
        over_seeds=over_seeds,
    )


def standard_error(values: Sequence[float]) -> float:
    """Return the standard error of the mean. Raises: ValueError with fewer than two values."""
    if len(values) < 2:
        raise ValueError("two values needed")
    return float(np.std(np.asarray(values, dtype=np.float64), ddof=1)) / sqrt(len(values))


def _over_seeds(scores_CN: np.ndarray, recipes: Sequence[int]) -> tuple[float | None, float | None, float | None]:
    """One-way analysis of the candidates' means, recipes as targets and seeds as raters: ICC(1, 1).

    With unequal numbers of seeds, their n0 of Searle, Casella and McCulloch, "Variance Components" (1992), 3.6.
    """
    means = scores_CN.mean(axis=1)
    groups = [means[[place for place, one in enumerate(recipes) if one == recipe]] for recipe in sorted(set(recipes))]
    n, k = len(means), len(groups)
    within = float(sum(((group - group.mean()) ** 2).sum() for group in groups) / (n - k))
    if k < 2:
        return None, within, None
    across = float(sum(len(group) * (group.mean() - means.mean()) ** 2 for group in groups) / (k - 1))
    n0 = (n - sum(len(group) ** 2 for group in groups) / n) / (k - 1)
    between = max(0.0, (across - within) / n0)
    total = between + within
    return between, within, between / total if total > 0 else None


def _mean_squares(scores_CN: np.ndarray) -> tuple[float, float]:
    """Mean squares of candidates and of what neither candidate nor item explains (two-way, one score a cell)."""
    c, n = scores_CN.shape
    rows, columns, grand = scores_CN.mean(axis=1), scores_CN.mean(axis=0), scores_CN.mean()
    left_CN = scores_CN - rows[:, None] - columns[None, :] + grand
    return float(n * ((rows - grand) ** 2).sum() / (c - 1)), float((left_CN**2).sum() / ((c - 1) * (n - 1)))


def _over_items(scores_CN: np.ndarray) -> float | None:
    """ICC(3, k): candidates as targets, items as the fixed raters, the mean over items as the score."""
    candidates, residual = _mean_squares(scores_CN)
    return max(0.0, (candidates - residual) / candidates) if candidates > 0 else None


def _between_by_items(scores_CN: np.ndarray) -> float | None:
    if scores_CN.shape[1] < 2:
        return None
    candidates, residual = _mean_squares(scores_CN)
    return max(0.0, (candidates - residual) / int(scores_CN.shape[1]))
