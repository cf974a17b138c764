"""A tenant's own questions with right answers."""

from dataclasses import dataclass
from datetime import datetime


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
    items: tuple[EvaluationItem, ...]  # none in listings
    item_count: int
    digest: str
    actor: str
    created_at: datetime
