"""What each step of a cycle hands to the next, and its JSON form in the journal.

The journal keeps these and nothing else of a step: with the rows that the step's effects wrote, they are all
that a restart needs. Knows nothing of how they are made.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

from sealserve.canonical import Json
from sealserve.records.candidates import Recipe
from sealserve.records.scores import Reliability, Scorecard, Verdict

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A piece of a document that fits the model's context: characters `start` to `end` of its text."""

    document: str
    title: str
    start: int
    end: int
    part: int = 1  # of `parts`, counting from 1
    parts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """CLAIM: what is learned, and what it will be compared with. `etag` guards the promotion."""

    incumbent: int
    etag: str
    base_digest: str
    documents: tuple[str, ...]
    passages: tuple[Passage, ...]
    left_out: int  # passages beyond learn.max_passages_per_cycle
    edit_tokens: int  # longest self-edit
    traceparent: str  # a resumed cycle goes on in this trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A quiz question whose open-book samples agree. `answer` stands in the document; `spoken` is how it was said.

    One that `is_given` is the tenant's own: it needs no agreement.
    """

    document: str
    question: str
    answer: str
    spoken: str
    is_given: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceAnswer:
    """What the base model says to `prompt`: rehearsed so that it is not forgotten."""

    prompt: str
    completion: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """WRITE: quiz proposals, training directives as the model wrote them, and rehearsal. Self-edits are rows."""

    quiz: tuple[Proposal, ...]
    directives: tuple[str, ...]
    rehearsal: tuple[ReferenceAnswer, ...]
    evaluation: tuple[str, ...] = ()  # the tenant's evaluation sets used, as "name@revision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """An answer that a newer document has made wrong: `question` about `document` is now answered by `newer`."""

    document: str
    question: str
    old_answer: str  # as it was given
    new_answer: str  # the words of the newer document
    newer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Contested:
    """A document that nothing is learned from: alone against so many origins that agree."""

    document: str
    origins: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtered:
    """FILTER: how many self-edits and quiz items are left; both are rows. `reasons` counts what was dropped.

    `distinct` is the diversity of what was admitted (`diversity.py`); `superseded` is what this cycle's documents
    make wrong, in earlier documents or among themselves.
    """

    admitted: int
    dropped: int
    select: int
    confirm: int
    reasons: dict[str, int]
    distinct: float | None = None
    superseded: tuple[Superseded, ...] = ()
    contested: tuple[Contested, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How one candidate's training went: losses of its parts, the new notes it saw, how far it went from the base.

    `drift` is the mean KL divergence from the base on rehearsed questions in nats, `weight_change` the Frobenius norm
    relative to the weights changed; None where the trainer did not measure them.
    """

    index: int
    losses: tuple[float, ...]
    self_edits: tuple[str, ...]
    drift: float | None
    weight_change: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortTrial:
    """How a recipe's short training went (`successive_halving.py`), whether or not it was then trained in full.

    `index` is that of the recipe's first candidate; `score` the mean log p of the selection half's answers in nats,
    None where it could not be measured.
    """

    index: int
    recipe: Recipe
    steps: int
    losses: tuple[float, ...]
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """TRAIN: which candidates there are (rows hold them), how each went, and what became of the model's directives."""

    candidates: tuple[int, ...]
    directives: tuple[str, ...]  # one note per directive
    settings_digest: str
    trials: tuple[Trial, ...] = ()
    short_trials: tuple[ShortTrial, ...] = ()
    remarks: tuple[str, ...] = ()  # what was limited or left out, and why
    tokens: int = 0  # that all candidates were trained on, each as often as it was seen


@dataclass(frozen=True, slots=True, kw_only=True)
class RankScore:
    """One candidate's mean gain over the incumbent by the cycle's reward; None with `why` if unmeasured."""

    index: int
    rank_score: float | None
    low: float | None
    high: float | None
    n: int
    why: str
    error: float | None = None  # standard error of rank_score over items


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """RANK: every candidate's score, and the winner; None when none could be measured.

    `stands_out` says whether the winner's lead over the group is no chance; `note` says so in words.
    """

    scores: tuple[RankScore, ...]
    winner: int | None
    reward: str = "likelihood"
    stands_out: bool = False
    note: str = ""
    reliability: Reliability | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSample:
    """What the incumbent and the winner say to one question of the confirmation half."""

    document: str
    question: str
    expected: str
    before: str
    after: str
    was_right: bool
    is_right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomalies:
    """What is strange about a winner (`backdoor_probe.py`, `weight_spectrum.py`), against `history` versions before."""

    spectrum: dict[str, float]
    spectrum_z: float
    history: int
    trigger_gap: float | None  # nats; None when it could not be measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """CONFIRM: the winner's scores on items that neither training nor ranking saw, and a few answers for people."""

    scorecard: Scorecard
    shown: tuple[AnswerSample, ...] = ()
    anomalies: Anomalies | None = None  # None: nothing was confirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """JUDGE: the gate's word."""

    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """PUBLISH: how the cycle ended. `reason` is what an operator reads."""

    state: str
    reason: str


def to_json(output: Any) -> Json:
    """Return `output` as JSON values."""
    tree: Json = _adapter(type(output)).dump_python(output, mode="json")
    return tree


def from_json(kind: type[T], tree: Json) -> T:
    """Return the `kind` written as `tree`. Raises: pydantic.ValidationError when it is not one."""
    found: T = _adapter(kind).validate_python(tree)
    return found


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    """Made once for each kind: it takes longer than what it converts."""
    return TypeAdapter(kind)
