"""Shares of right answers, with intervals that resample documents. Pure.

Answers to questions on one document are correlated, so documents are resampled, never questions (cluster bootstrap:
Field and Welsh, JRSS B 69 (2007) 369-390).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
ROUNDS = 4000
MIN_RESAMPLED = 3
"""With fewer documents or orders to resample, no interval is reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A mean over documents' answers with its two-sided interval; `n` answers to questions on `documents`."""

    value: float
    low: float
    high: float
    n: int
    documents: int


def share(answers: Sequence[Sequence[float]], *, seed: int = 0) -> Share:
    """Return the mean of all answers (1 is right), `answers[d]` being those on document d.

    Differences are shares too: hand in each question's gain. Raises: ValueError when there are no answers.
    """
    asked = [one for one in answers if one]
    if not asked:
        raise ValueError("no answers to take a share of")
    sums_D = np.array([sum(one) for one in asked], dtype=np.float64)
    counts_D = np.array([len(one) for one in asked], dtype=np.float64)
    drawn_RD = np.random.default_rng(seed).integers(0, len(asked), size=(ROUNDS, len(asked)))
    means_R = sums_D[drawn_RD].sum(axis=1) / counts_D[drawn_RD].sum(axis=1)
    tail = (1 - CONFIDENCE) / 2
    return Share(
        value=round(float(sums_D.sum() / counts_D.sum()), 4),
        low=round(float(np.quantile(means_R, tail)), 4),
        high=round(float(np.quantile(means_R, 1 - tail)), 4),
        n=int(counts_D.sum()),
        documents=len(asked),
    )


def gains(after: Sequence[Sequence[float]], before: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return each question's gain; both sides answered the same questions on the same documents."""
    return [[mine - theirs for mine, theirs in zip(*pair, strict=True)] for pair in zip(after, before, strict=True)]


def with_goals(measured: Mapping[str, float], goals: Mapping[str, tuple[str, float]]) -> dict[str, dict[str, object]]:
    """Return {name: {measured, goal, is_met}}; a goal is ("<=", ">=" or ">", bound). Unmeasured is not met."""
    shown: dict[str, dict[str, object]] = {}
    for name, (sign, bound) in goals.items():
        value = measured.get(name)
        is_met = value is not None and {"<=": value <= bound, ">=": value >= bound, ">": value > bound}[sign]
        shown[name] = {"measured": value, "goal": f"{sign} {bound}", "is_met": is_met}
    return shown
