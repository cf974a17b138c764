"""Rank correlation of two scores, document by document. Pure.

Candidates are chosen among those of one document, so ranks are correlated within documents and documents are
resampled (cluster bootstrap, as in `intervals.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sealserve.bench.harness.intervals import CONFIDENCE, ROUNDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Rank correlation with the truth: means over documents, with intervals of Spearman's.

    `picked` is the mean truth of the candidates that came first; `documents` those that could be ranked, `ties` those
    of them that the reward could not tell apart at all: they count as no correlation.
    """

    spearman: float
    low: float
    high: float
    kendall: float
    picked: float
    documents: int
    ties: int
    unmeasured: int


Row = tuple[float | None, float]
"""A candidate's reward, None if unmeasured, and its true score."""


def agreement(documents: Sequence[Sequence[Row]], *, seed: int = 0) -> Agreement:
    """Return how `documents[d]`'s rewards agree with their true scores; a document without differences is left out.

    Raises: ValueError when no document can be ranked.
    """
    from scipy.stats import kendalltau, spearmanr  # takes seconds to import

    spearmans, kendalls, picked, ties, unmeasured = [], [], [], 0, 0
    for rows in documents:
        known = [(reward, truth) for reward, truth in rows if reward is not None]
        unmeasured += len(rows) - len(known)
        if len(known) < 3 or len({truth for _, truth in known}) < 2:
            continue
        rewards, truths = [reward for reward, _ in known], [truth for _, truth in known]
        is_tied = len(set(rewards)) < 2
        ties += is_tied
        spearmans.append(0.0 if is_tied else float(spearmanr(rewards, truths).statistic))
        kendalls.append(0.0 if is_tied else float(kendalltau(rewards, truths).statistic))
        best = max(rewards)
        picked.append(float(np.mean([truth for reward, truth in known if reward == best])))
    if not spearmans:
        raise ValueError("no document has candidates that differ")
    spearmans_D = np.array(spearmans)
    drawn_RD = np.random.default_rng(seed).integers(0, len(spearmans), size=(ROUNDS, len(spearmans)))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(spearmans_D[drawn_RD].mean(axis=1), (tail, 1 - tail))
    return Agreement(
        spearman=round(float(spearmans_D.mean()), 4),
        low=round(float(low), 4),
        high=round(float(high), 4),
        kendall=round(float(np.mean(kendalls)), 4),
        picked=round(float(np.mean(picked)), 4),
        documents=len(spearmans),
        ties=ties,
        unmeasured=unmeasured,
    )
