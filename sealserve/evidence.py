"""What candidates are measured by: rewards by name, answers given, feedback, evaluation sets. Frozen and plain."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RewardKind(StrEnum):
    """What candidates may be ranked by, by name."""

    LIKELIHOOD = "likelihood"  # clipped log p of the right answer: one forward pass, no generation
    EXACT = "exact"  # the greedy answer is the right one and nothing else
    F1 = "f1"  # the words that the greedy answer shares with the right one
    CONTAINS = "contains"  # the greedy answer states the right one
    REGEX = "regex"  # the greedy answer is right by the item's own rule
    AGREEMENT = "agreement"  # how far sampled answers agree; needs no right answer
    GRADER = "grader"  # the base model judges the greedy answer
    ENDPOINT = "endpoint"  # a judge behind an OpenAI-compatible endpoint
    FEEDBACK = "feedback"  # right answers to what people corrected


class Thumb(StrEnum):
    """What somebody thinks of an answer."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenAnswer:
    """That an answer was given, and by which version; 0 is the base model.

    `asker` stands for the sticky key that the answer was asked for with, and does not tell it; empty without one.
    """

    answer_request: str  # its request id
    tenant: str
    version: int
    activation: int
    asker: str
    answered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What somebody says about one answer. Question and answer are theirs to give: no word of either is recorded."""

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
