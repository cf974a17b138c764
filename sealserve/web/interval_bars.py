"""Scores as bars: each gain with its interval, all on one axis with a line at zero."""

from collections.abc import Iterable
from dataclasses import dataclass

from sealserve.records.scores import Measured, NotApplicable, Score, Scorecard, Unmeasured

WIDTH, HEIGHT = 240.0, 24.0
_MARGIN = 6.0
_LEAST_REACH = 0.1
"""The axis reaches at least this far to both sides; otherwise a loss of 0.01 would fill it."""

_MEANING = {
    "confirm": "unseen questions on the new documents",
    "replay": "questions on documents learned earlier",
    "canary": "regression questions",
    "unknown": "saying “I don't know” to questions no document answers",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Positions in drawing units, from the left edge."""

    zero: float
    point: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """A score: its numbers and bar, or the reason there are none."""

    name: str
    meaning: str
    measured: Measured | None
    bar: Bar | None
    why: str


def score_rows(card: Scorecard) -> tuple[ScoreRow, ...]:
    """Return every score of `card`, own ones first, then suites by name."""
    own: dict[str, Score | NotApplicable] = {name: getattr(card, name) for name in _MEANING}
    every: dict[str, Score | NotApplicable] = own | dict(sorted(card.suites.items()))
    low, high = _axis(score for score in every.values() if isinstance(score, Measured))
    return tuple(_row(name, score, low=low, high=high) for name, score in every.items())


def _row(name: str, score: Score | NotApplicable, *, low: float, high: float) -> ScoreRow:
    measured = score if isinstance(score, Measured) else None
    why = ""
    if isinstance(score, Unmeasured):
        why = f"not measured: {score.why}"
    elif isinstance(score, NotApplicable):
        why = f"not applicable: {score.because}"
    bar = _bar(measured, low=low, high=high) if measured else None
    return ScoreRow(name=name, meaning=_MEANING.get(name, "canary suite"), measured=measured, bar=bar, why=why)


def _axis(scores: Iterable[Measured]) -> tuple[float, float]:
    ends = [end for score in scores for end in (score.gain_low, score.gain_high, score.gain)]
    return min([-_LEAST_REACH, *ends]), max([_LEAST_REACH, *ends])


def _bar(score: Measured, *, low: float, high: float) -> Bar:
    def place(value: float) -> float:
        return round(_MARGIN + (value - low) / (high - low) * (WIDTH - 2 * _MARGIN), 1)

    return Bar(zero=place(0.0), point=place(score.gain), low=place(score.gain_low), high=place(score.gain_high))
