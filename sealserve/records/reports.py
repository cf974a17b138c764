"""What a client sees beyond plain records: answers, cycles as a whole, what replicas answer with.

Built by `rpc/` from the registry, carried over the wire, built again by the client. Knows nothing of either.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sealserve.canonical import Json
from sealserve.records.cycles import Cycle, EarlierStudy, Step
from sealserve.records.inference import EngineState, FinishReason
from sealserve.records.policy_decisions import RuleEffect
from sealserve.records.scores import Measured, Scorecard, Verdict
from sealserve.records.versions import Observed


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an answer cost, in tokens."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """Which weights answer: pinned from the first token to the last. `version` 0 is the base model."""

    request_id: str
    tenant: str
    version: int
    activation: int
    base_digest: str
    prompt_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer, and which weights gave it."""

    text: str
    finish: FinishReason
    usage: Usage
    answering: Answering

    @property
    def version(self) -> int:
        """The adapter version that answered; 0 is the base model."""
        return self.answering.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Some more text of a streamed answer; `completion_tokens` counts from its start."""

    text: str
    completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The end of a streamed answer."""

    finish: FinishReason
    usage: Usage


AnswerEvent: TypeAlias = Answering | Piece | Ended
"""A streamed answer is one Answering, any number of Pieces, one Ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedStep:
    """A step that is done."""

    step: Step
    seconds: float
    finished_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateReport:
    """A trained candidate with its place in the ranking; `rank_score` is None until it is ranked, `unranked` says why.

    `losses` are means of consecutive parts of training, `self_edits` the ids it was trained on.
    """

    index: int
    recipe: Json
    artifact: str
    final_loss: float
    seconds: float
    rank_score: float | None
    winner: bool
    losses: tuple[float, ...] = ()
    self_edits: tuple[str, ...] = ()
    rank_low: float | None = None
    rank_high: float | None = None
    unranked: str = ""
    drift: float | None = None  # mean KL from the base on rehearsed questions, in nats
    weight_change: float | None = None  # Frobenius norm, relative to the weights it changes


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortTrialReport:
    """A recipe's short training; `score` is the mean log p of the ranking questions' answers, None if unmeasured."""

    index: int
    recipe: Json
    steps: int
    losses: tuple[float, ...] = ()
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """An answer that a newer document has made wrong."""

    document: str
    question: str
    old_answer: str
    new_answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """What the filter made of a cycle's self-edits; `distinct` is None when none was admitted."""

    admitted: int
    dropped: int
    reasons: Mapping[str, int]
    distinct: float | None
    superseded: tuple[Contradiction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive:
    """How the model wants to be trained: what it wrote, and what became of it."""

    text: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """How candidates were ranked, and how far that can be trusted (`gate/reliability.py`); None: not known."""

    reward: str
    note: str
    stands_out: bool
    items: int = 0
    seeds: int = 0
    item_error: float | None = None
    between_candidates: float | None = None
    between_seeds: float | None = None
    over_items: float | None = None
    over_seeds: float | None = None


MEASURING = (Step.RANK, Step.CONFIRM)
"""The steps that measure what was trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerPair:
    """What the incumbent and the winner say to one question that training never saw."""

    document: str
    question: str
    expected: str
    before: str
    after: str
    was_right: bool
    is_right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedRule:
    """A written rule that spoke on what a cycle made; `decision` is the ruling it is part of."""

    rule: str
    effect: RuleEffect
    reason: str
    event: str
    bundle: str  # digest of the rules in force then
    decision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleReport:
    """A cycle with all that is known of it. In listings only `cycle` and `documents` are filled."""

    cycle: Cycle
    documents: tuple[str, ...] = ()
    steps: tuple[FinishedStep, ...] = ()
    candidates: tuple[CandidateReport, ...] = ()
    scores: Scorecard | None = None
    verdict: Verdict | None = None
    screening: Screening | None = None
    directives: tuple[Directive, ...] = ()
    earlier_studies: tuple[EarlierStudy, ...] = ()
    remarks: tuple[str, ...] = ()  # what was limited or left out of training, and why
    ranking: Ranking | None = None
    answers: tuple[AnswerPair, ...] = ()  # a few, for people to read
    short_trials: tuple[ShortTrialReport, ...] = ()
    trained_tokens: int = 0  # by all candidates together, each token as often as it was seen
    rules: tuple[AppliedRule, ...] = ()  # those that deny, hold or warn

    @property
    def measuring_share(self) -> float | None:
        """Return the share of the recorded time that ranking and confirming took; None until both are done."""
        seconds = {done.step: done.seconds for done in self.steps}
        total = sum(seconds.values())
        return sum(seconds[step] for step in MEASURING) / total if total and seconds.keys() >= {*MEASURING} else None

    @property
    def device_seconds(self) -> float | None:
        """Return how long the training device was used; None until training is done."""
        return next((done.seconds for done in self.steps if done.step is Step.TRAIN), None)

    @property
    def seconds_per_point(self) -> float | None:
        """Return device-seconds per hundredth of confirmed accuracy gained; None when none was."""
        gain = self.scores.confirm.gain if self.scores and isinstance(self.scores.confirm, Measured) else 0.0
        return self.device_seconds / (100 * gain) if self.device_seconds is not None and gain > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterReport:
    """What a tenant should be answered with (`desired`), and what each replica answers with."""

    tenant: str
    desired: int
    activation: int
    etag: str
    observed: tuple[Observed, ...]

    def has_reached(self, activation: int) -> bool:
        """True when some replica serves and all of them answer with at least `activation`."""
        return bool(self.observed) and all(one.activation >= activation for one in self.observed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """What answers here. Names no tenant."""

    server_version: str
    replica: str
    model: str
    base_digest: str
    max_context_tokens: int
    engine_state: EngineState
    rebuilds: int
