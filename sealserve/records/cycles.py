"""Learning cycles: their states, steps, self-edits and quiz."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sealserve.canonical import Json
from sealserve.prompts import Template


class CycleState(StrEnum):
    """The state of a cycle. Every state but the first two is final."""

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
    """A question whose answer is in the document. Questions of a document with the same `fact` ask about the same."""

    question: str
    answer: str
    document: str
    split: Split
    fact: str = ""  # as its answer is worded; "": the question asks about something of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A lease on a cycle. Every write made under it names the fence; an older fence is refused."""

    cycle: str
    tenant: str
    worker: str
    fence: int
    expires_at: datetime


FORGET_TRIGGER, IMPORT_TRIGGER = "forget", "import"
"""Triggers of cycles that study nothing: one teaches again what is left, one measures what was made elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierStudy:
    """Where a document, or an earlier one of the same title, was studied before."""

    document: str
    earlier_document: str  # the same, or its namesake
    cycle: str
