"""What people give to measure by: feedback on answers and evaluation sets. Frozen, plain, no behaviour beyond names."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Thumb(StrEnum):
    """What somebody thinks of an answer."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What somebody says about one answer. Question and answer are theirs to give: answers are not recorded."""

    answer_request: str  # request id of the answer
    version: int  # that gave it; 0: the base model
    thumb: Thumb
    question: str = ""
    answer: str = ""
    correction: str = ""  # the right answer; needs the question


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """An opinion that was kept."""

    tenant: str
    feedback: str  # id
    opinion: Opinion
    actor: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFeedback:
    """The thumbs that one version's answers got."""

    version: int
    up: int
    down: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationItem:
    """A question with its right answer, given by the tenant. `matcher` is contains, exact or regex."""

    question: str
    answer: str
    matcher: str = "contains"
    pattern: str = ""  # of a regex


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSet:
    """One revision of a named set. It never changes: other contents are another revision."""

    tenant: str
    name: str
    revision: int  # counts from 1
    items: tuple[EvaluationItem, ...]
    digest: str
    actor: str
    created_at: datetime
