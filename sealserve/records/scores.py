"""Scores, scorecards and the verdicts on them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How much of the differences between candidates is no chance; None where too little was measured to say.

    Shares: 1 all of it, 0 none. `over_items` is that of a candidate's mean over these items, `over_seeds` that of one
    training's score as the score of its recipe.
    """

    candidates: int
    seeds: int  # trainings of the same recipe, the largest number of them
    items: int
    item_error: float | None  # mean standard error of a candidate's score
    between_candidates: float | None  # variance of the true scores of different recipes
    between_seeds: float | None  # variance among trainings of one recipe
    over_items: float | None
    over_seeds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCounts:
    """How many of `n` pairs the candidate, and how many the incumbent, did better in."""

    n: int
    better: int
    worse: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A paired comparison with the incumbent on the same items. Fractions; the interval is two-sided.

    Where several items ask about one fact, `facts` counts the facts, and those that either side did better in.
    Overridden items are in no other count: `excused` by documents of this cycle, `excused_before` by earlier ones.
    """

    n: int
    candidate: float
    incumbent: float
    gain: float
    gain_low: float
    gain_high: float
    better: int  # items where the candidate did better
    worse: int  # items where it did worse
    facts: int = 0  # 0: each item asks about a fact of its own
    facts_better: int = 0
    facts_worse: int = 0
    excused: int = 0
    excused_before: int = 0

    @property
    def asked(self) -> int:
        """How many items were asked, those that are overridden included."""
        return self.n + self.excused + self.excused_before

    @property
    def independent(self) -> PairCounts:
        """What an exact test may count: facts where items share them, else items."""
        if self.facts:
            return PairCounts(n=self.facts, better=self.facts_better, worse=self.facts_worse)
        return PairCounts(n=self.n, better=self.better, worse=self.worse)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmeasured:
    """A score that could not be taken. Not a zero."""

    why: str


Score: TypeAlias = Measured | Unmeasured


@dataclass(frozen=True, slots=True, kw_only=True)
class NotApplicable:
    """Nothing to compare, by right: a tenant that has learned nothing yet can forget nothing."""

    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """What the gate judges: the winner's scores on items that neither training nor ranking saw.

    `open_book` is the share of the items of `confirm` that the base answers right with the passage at hand; None if it
    was not measured.
    """

    confirm: Score  # quiz of the new documents
    replay: Score | NotApplicable  # questions on documents learned earlier
    canary: Score  # resident facts and other old skills
    unknown: Score  # share of "I don't know" on entities nobody has told it about
    suites: dict[str, Score] = field(default_factory=dict)  # canary suites, by "name@version"
    open_book: float | None = None


class Decision(StrEnum):
    """What the gate says."""

    PROMOTE = "promote"
    REJECT = "reject"
    HOLD = "hold"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A decision with its reasons: one line for each rule that spoke against, or the gain that spoke for."""

    decision: Decision
    reasons: tuple[str, ...]
    policy: str  # name of the policy file's rule set
    policy_digest: str
