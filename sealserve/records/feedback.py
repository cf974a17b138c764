"""What candidates are measured by: rewards by name, answers given, feedback, evaluation sets. Frozen and plain."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Thumb(StrEnum):
    """What somebody thinks of an answer."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenAnswer:
    """That an answer was given, and by which version; 0 is the base model.

    `asker` is derived from the sticky key of the request and does not reveal it; empty without a key.
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
