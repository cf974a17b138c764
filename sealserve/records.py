"""What flows through sealserve, in the order of the learning cycle. Frozen, plain, no behaviour beyond names.

These are neither wire types (`v1/`) nor rows (`registry/database.py`); each is converted in one place.
Times are aware UTC datetimes. Digests are lower-case sha256 hex.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeAlias, TypeVar

from sealserve.prompts import Template

BASE_VERSION = 0
"""The version number of "no adapter": the base model itself. Published versions count from 1 in each tenant."""

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One customer. `desired_version` is what should answer; `etag` changes with every activation."""

    tenant: str
    display_name: str
    desired_version: int
    activation: int  # sequence number of the activation that set desired_version; 0 before the first
    etag: str
    created_at: datetime


class DocumentState(StrEnum):
    """Where a document stands."""

    ADMITTED = "admitted"  # screened, waits for a cycle
    LEARNING = "learning"  # claimed by an open cycle
    LEARNED = "learned"  # part of a published and promoted version
    SET_ASIDE = "set_aside"  # its cycle did not promote; `reason` says why
    WITHDRAWN = "withdrawn"  # was learned, then its version was rolled back; never learned again by itself
    QUARANTINED = "quarantined"  # could not be read or failed screening; `reason` says why
    FORGOTTEN = "forgotten"  # its text and everything made of it is deleted; only its id and digest are left


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One article of one tenant; identity is (tenant, digest of its normalised text)."""

    tenant: str
    document: str  # id: the first 16 hex digits of the digest
    digest: str
    title: str
    source: str  # where it came from: "rpc", "file:handbook/returns.md"
    media_type: str
    size_bytes: int
    state: DocumentState
    reason: str
    created_at: datetime


class CycleState(StrEnum):
    """Where a cycle stands. Every state but the first two is final."""

    PENDING = "pending"
    RUNNING = "running"
    PROMOTED = "promoted"
    REJECTED = "rejected"
    HELD = "held"  # published, waits for a human's promote
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"


class Step(StrEnum):
    """The steps of a cycle, in order."""

    CLAIM = "claim"  # documents
    WRITE = "write"  # self-edits and quiz
    FILTER = "filter"
    TRAIN = "train"
    RANK = "rank"
    CONFIRM = "confirm"
    JUDGE = "judge"
    PUBLISH = "publish"


STEPS: tuple[Step, ...] = tuple(Step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """One run of the learning cycle for one tenant."""

    tenant: str
    cycle: str  # id
    state: CycleState
    step: Step | None  # last recorded step
    trigger: str  # "rpc", "schedule"
    reason: str  # of the verdict or the failure
    version: int | None  # published version, if any
    attempts: int  # times a worker claimed it
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """A finished step: its output is what the next step reads, now or after a crash."""

    cycle: str
    step: Step
    output: Json
    fence: int
    seconds: float
    finished_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfEdit:
    """A study note the model wrote about one document. Data, never instructions."""

    tenant: str
    cycle: str
    self_edit: str  # id, unique in the cycle
    document: str
    template: Template
    text: str
    seed: int
    admitted: bool
    reason: str  # why it was dropped; empty when admitted


class Split(StrEnum):
    """What a quiz item may be used for: never both."""

    SELECT = "select"
    CONFIRM = "confirm"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuizItem:
    """A question with the answer that stands in the document."""

    question: str
    answer: str
    document: str
    split: Split


class Target(StrEnum):
    """What the loss asks of new answers."""

    LIKELIHOOD = "likelihood"  # that they become likely
    DISTILLATION = "distillation"  # that the model answers as it does with the document before it (arXiv 2412.14964)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one candidate is trained. LoRA per arXiv 2106.09685; scaling is alpha / rank."""

    templates: tuple[Template, ...]
    rank: int
    alpha: int
    learning_rate: float
    epochs: int
    batch_size: int
    loss_on_answers: bool  # False: loss on the document's own text too
    rehearsal: float  # share of sequences that keep base skills; new and earlier documents share the rest
    seed: int
    target: Target = Target.LIKELIHOOD
    kept_weight: float = 30.0  # of the divergence from the base on kept answers, beside 1 for new ones; see below
    change_weight: float = 0.0  # of the penalty on weight change, squared and relative to the base's weights
    stop_loss: float = 0.0  # training ends once ten steps in a row have had a lower mean loss; 0: never early

    # kept_weight: embedded model, seven earlier articles beside a new one, 200 steps, two seeds: old skills lose 0.014
    # at weight 20, 0.007 at 30, 0.003 at 45; of what the articles say 0.997, 0.994 and 0.984 is right.


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A trained adapter that is not a version yet."""

    cycle: str
    index: int
    recipe: Recipe
    artifact: str  # digest of its manifest in the artifact store
    final_loss: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A paired comparison with the incumbent on the same items. Fractions; the interval is two-sided."""

    n: int
    candidate: float
    incumbent: float
    gain: float
    gain_low: float
    gain_high: float
    better: int  # items where the candidate did better
    worse: int  # items where it did worse


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
    """What the gate judges: the winner's scores on items that neither training nor ranking saw."""

    confirm: Score  # quiz of the new documents
    replay: Score | NotApplicable  # questions on documents learned earlier
    canary: Score  # resident facts and other old skills
    unknown: Score  # share of "I don't know" on entities nobody has told it about
    suites: dict[str, Score] = field(default_factory=dict)  # canary suites, by "name@version"


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


class VersionState(StrEnum):
    """Where an adapter version stands; which one is active is the tenant's pointer, not a state."""

    READY = "ready"
    QUARANTINED = "quarantined"  # never loaded again; `reason` says why


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterVersion:
    """One immutable, content-addressed adapter of one tenant."""

    tenant: str
    version: int
    artifact: str  # manifest digest; the directory in the artifact store
    engine_name: str  # never used twice: "<tenant>@v<version>-<artifact[:12]>"
    state: VersionState
    reason: str
    cycle: str
    parent: int  # version it was measured against
    documents: tuple[str, ...]  # every document it holds, earlier ones included
    lineage: Json  # recipe, self-edit ids, scores, verdict, base digest, config hash
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """One move of a tenant's pointer, forwards or back, or of the traffic beside it."""

    tenant: str
    activation: int  # counts from 1 in each tenant
    version: int
    previous: int
    kind: str  # "promote", "rollback" or "traffic"
    actor: str
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What one serving replica says it answers with."""

    replica: str
    tenant: str
    version: int
    activation: int
    observed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One link of the audit chain: hash = sha256(previous_hash + canonical JSON of the rest)."""

    sequence: int
    at: datetime
    actor: str
    action: str  # "document.admit", "adapter.promote" …
    tenant: str
    subject: str
    details: Json
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A lease on a cycle. Every write made under it names the fence; an older fence is refused."""

    cycle: str
    tenant: str
    worker: str
    fence: int
    expires_at: datetime


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a listing; an empty token means the last."""

    items: tuple[T, ...]
    next_page_token: str


FORGET_TRIGGER, IMPORT_TRIGGER = "forget", "import"
"""Triggers of cycles that study nothing: one teaches again what is left, one measures what was made elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What forgetting a document did: the certificate, as its audit row has it."""

    tenant: str
    document: str
    versions: tuple[int, ...]  # quarantined: they had learned it
    desired_version: int  # answers now; it never saw the document
    self_edits: int  # deleted
    quiz_items: int  # deleted
    cycle: str  # teaches the other documents of the version left; "" when there are none to teach again
