"""What clients read beyond plain records: answers, reports on whole cycles, and what each replica serves.

Recipes are plain JSON here: a client can show the recipes of a newer server.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sealserve.canonical import Json
from sealserve.records.cycles import Cycle, EarlierStudy, Step
from sealserve.records.inference import EngineState, FinishReason, TokenLogprob
from sealserve.records.policy_decisions import RuleEffect
from sealserve.records.scores import Measured, Scorecard, Verdict
from sealserve.records.step_outputs import AnswerSample, Overridden
from sealserve.records.versions import BASE_VERSION, Observed


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Token counts of an answer."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """The weights that answer, fixed from the first token to the last. `version` 0 is the base model."""

    request_id: str
    tenant: str
    version: int
    activation: int
    base_digest: str
    prompt_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of the answers to a conversation; `index` counts from 0."""

    index: int
    text: str
    finish: FinishReason
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer and the weights that gave it. `text` and `finish` are those of the first of `choices`."""

    text: str
    finish: FinishReason
    usage: Usage
    answering: Answering
    choices: tuple[Choice, ...] = ()

    @property
    def version(self) -> int:
        """The adapter version that answered; 0 is the base model."""
        return self.answering.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The next text of a streamed answer; `completion_tokens` counts from the start, over all answers.

    Where several answers were asked for, `index` says which one goes on, and `finish` that it ended.
    """

    text: str
    completion_tokens: int
    index: int = 0
    logprobs: tuple[TokenLogprob, ...] = ()
    finish: FinishReason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The end of a streamed answer."""

    finish: FinishReason
    usage: Usage


AnswerEvent: TypeAlias = Answering | Piece | Ended
"""A streamed answer is one Answering, any number of Pieces, one Ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What a request can name: `version` of `tenant`, or the version whose turn it is (None)."""

    tenant: str
    version: int | None
    active: bool  # the active version

    @property
    def id(self) -> str:
        """The name: acme, acme@v3, acme@base."""
        return model_id(self.tenant, self.version)


def model_id(tenant: str, version: int | None) -> str:
    """Return the model's name over HTTP."""
    if version is None:
        return tenant
    return f"{tenant}@{'base' if version == BASE_VERSION else f'v{version}'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedStep:
    """A finished step."""

    step: Step
    seconds: float
    finished_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateReport:
    """A trained candidate and its score. `rank_score` is None if it has not been ranked; `unranked` gives the reason.

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
    """An answer that a newer document supersedes."""

    document: str
    question: str
    old_answer: str
    new_answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """Counts of admitted and dropped self-edits; `distinct` is None if none was admitted."""

    admitted: int
    dropped: int
    reasons: Mapping[str, int]
    distinct: float | None
    superseded: tuple[Contradiction, ...]
    overridden: tuple[Overridden, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive:
    """A training directive as the model wrote it, and a note on how it was followed."""

    text: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """How candidates were ranked, and how reliable the ranking is (`gate/reliability.py`); None if unknown."""

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
class AppliedRule:
    """A policy rule that applied to what a cycle made; `decision` is the policy decision it belongs to."""

    rule: str
    effect: RuleEffect
    reason: str
    event: str
    bundle: str  # digest of the rules in force at the time
    decision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleReport:
    """A cycle with everything known about it. In listings only `cycle` is filled."""

    cycle: Cycle
    documents: tuple[str, ...] = ()
    steps: tuple[FinishedStep, ...] = ()
    candidates: tuple[CandidateReport, ...] = ()
    scores: Scorecard | None = None
    verdict: Verdict | None = None
    screening: Screening | None = None
    directives: tuple[Directive, ...] = ()
    earlier_studies: tuple[EarlierStudy, ...] = ()
    remarks: tuple[str, ...] = ()  # what was held, limited or left out of training, and why
    ranking: Ranking | None = None
    answers: tuple[AnswerSample, ...] = ()  # a few, for people to read
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
    """The version a tenant should be served (`desired`), and the version each replica serves."""

    tenant: str
    desired: int
    activation: int
    etag: str
    observed: tuple[Observed, ...]

    def has_reached(self, activation: int) -> bool:
        """Return whether some replica serves and every replica has reached at least `activation`."""
        return bool(self.observed) and all(replica.activation >= activation for replica in self.observed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """What this server is and runs. Names no tenant."""

    server_version: str
    replica: str
    model: str
    base_digest: str
    max_context_tokens: int
    engine_state: EngineState
    rebuilds: int
