"""The output of each step of a cycle, and its JSON form in the journal.

A restart needs only these records and the rows that the steps' effects wrote.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeVar, cast

from pydantic import BeforeValidator, TypeAdapter

from sealserve.canonical import Json
from sealserve.records.candidates import Recipe
from sealserve.records.cycles import Split, Step
from sealserve.records.renamed_fields import renamed
from sealserve.records.score_json import complete_scorecard
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
    """CLAIM: the documents to learn, and the incumbent they are compared with. `etag` guards the promotion.

    Documents that the judge found an order in are held, and are none of these.
    """

    incumbent: int
    etag: str
    base_digest: str
    documents: tuple[str, ...]
    passages: tuple[Passage, ...]
    left_out: int  # passages beyond learn.study.max_passages_per_cycle
    edit_tokens: int  # longest self-edit
    traceparent: str  # a resumed cycle continues this trace
    remarks: tuple[str, ...] = ()  # what was not judged or held, and why


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A quiz question on whose answer all open-book samples agree.

    `answer` is as the document words it, `reference_text` as the model does. `is_given`: the tenant's own question,
    which needs no agreement. `fact`, `split` and `is_reserved` are as `learning/study/facts.py` divides the questions;
    records of earlier releases have none.
    """

    document: str
    question: str
    answer: str
    reference_text: Annotated[str, renamed("reference_text")]
    is_given: bool = False
    fact: str = ""
    split: Split | None = None
    is_reserved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceAnswer:
    """The base model's answer to `prompt`, trained on so that it is retained."""

    prompt: str
    completion: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """WRITE: quiz proposals, training directives as the model wrote them, the retention set. Self-edits are rows."""

    quiz: tuple[Proposal, ...]
    directives: tuple[str, ...]
    retention: Annotated[tuple[ReferenceAnswer, ...], renamed("retention")]
    evaluation: tuple[str, ...] = ()  # the tenant's evaluation sets used, as "name@revision"
    readings: int = 0  # questions that the base was asked with the passage at hand
    agreed: int = 0  # of them, those whose samples agreed on words of the passage


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """An answer from `document` that a newer document supersedes: `newer` now answers `question`."""

    document: str
    question: str
    old_answer: str  # as it was worded
    new_answer: str  # the words of the newer document
    newer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overridden:
    """An answer that the base model was rehearsed or measured by and that a document overrides: `newer` now answers
    `question`.

    `items` names the regression items that ask it, as "suite/item"; () if it is only rehearsed.
    """

    question: str
    old_answer: str  # as it was worded
    new_answer: str  # the words of the document
    newer: str
    subject: str = ""  # the name in the question that the document is about
    items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contested:
    """A document that nothing is learned from, since it contradicts `origins` other origins that agree."""

    document: str
    origins: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtered:
    """FILTER: counts of self-edits and quiz items, which are rows. `reasons` counts the dropped self-edits.

    `distinct` is the diversity of the admitted ones (`diversity.py`). `superseded` are the answers that this cycle's
    documents supersede, in earlier documents or among themselves. `overridden` are the answers of the base model that
    they override.
    """

    admitted: int
    dropped: int
    select: int
    confirm: int
    reasons: dict[str, int]
    distinct: float | None = None
    superseded: tuple[Superseded, ...] = ()
    contested: tuple[Contested, ...] = ()
    overridden: tuple[Overridden, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How one candidate's training went: losses of its parts, the new self-edits it saw, its distance from the base.

    `drift` is the mean KL divergence from the base on the retention set in nats, `weight_change` the Frobenius norm
    relative to the weights changed; None if the trainer did not measure them.
    """

    index: int
    losses: tuple[float, ...]
    self_edits: tuple[str, ...]
    drift: float | None
    weight_change: float | None
    steps: int = 0  # optimizer steps; 0 in what older releases wrote


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortTrial:
    """How a recipe's short training went (`successive_halving.py`), whether or not it was then trained in full.

    `index` is that of the recipe's first candidate; `score` is the mean log p of the selection half's answers in nats,
    None if it could not be measured.
    """

    index: int
    recipe: Recipe
    steps: int
    losses: tuple[float, ...]
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """TRAIN: the candidates, which are rows, how each training went, and how the model's directives were followed."""

    candidates: tuple[int, ...]
    directives: tuple[str, ...]  # one note per directive
    settings_digest: str
    trials: tuple[Trial, ...] = ()
    short_trials: tuple[ShortTrial, ...] = ()
    remarks: tuple[str, ...] = ()  # what was limited or left out, and why
    tokens: int = 0  # trained on by all candidates, each token as often as it was seen


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
    """RANK: every candidate's score, and the winner; None if none could be measured.

    `stands_out`: the winner's lead over the group is statistically significant; `note` says so in words.
    """

    scores: tuple[RankScore, ...]
    winner: int | None
    reward: str = "likelihood"
    stands_out: bool = False
    note: str = ""
    reliability: Reliability | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSample:
    """The incumbent's and the winner's answers to one question of the confirmation half."""

    document: str
    question: str
    expected: str
    before: str
    after: str
    was_right: bool
    is_right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomalies:
    """Signs of a back door in a winner; `history` counts the versions that its weights were compared with.

    See `backdoor_probe.py` and `weight_spectrum.py`.
    """

    spectrum: dict[str, float]
    spectrum_z: float
    history: int
    trigger_gap: float | None  # nats; None if it could not be measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """CONFIRM: the winner's scores on items that neither training nor ranking saw, and a few answers for people."""

    scorecard: Annotated[Scorecard, BeforeValidator(complete_scorecard)]
    shown: tuple[AnswerSample, ...] = ()
    anomalies: Anomalies | None = None  # None: nothing was confirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """JUDGE: the gate's verdict."""

    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """PUBLISH: how the cycle ended. `reason` is what an operator reads."""

    state: str
    reason: str


OUTPUT_OF: Mapping[Step, type[Any]] = {
    Step.CLAIM: Claimed,
    Step.WRITE: Written,
    Step.FILTER: Filtered,
    Step.TRAIN: Trained,
    Step.RANK: Ranked,
    Step.CONFIRM: Confirmed,
    Step.JUDGE: Judged,
    Step.PUBLISH: Published,
}
"""The record that each step leaves in the journal."""


def to_json(output: Any) -> Json:
    """Return `output` as JSON values."""
    tree: Json = _adapter_of(cast(Hashable, type(output))).dump_python(output, mode="json")
    return tree


def from_json(kind: type[T], tree: Json) -> T:
    """Return the `kind` written as `tree`. Raises: pydantic.ValidationError when it is not one."""
    found: T = _adapter_of(cast(Hashable, kind)).validate_python(tree)
    return found


@cache
def _adapter_of(kind: Any) -> TypeAdapter[Any]:
    """Return what reads and writes a kind; made once, for that takes as long as reading a hundred of them."""
    return TypeAdapter(kind)
