"""Canary suites: a tenant's own questions about what must not get lost, and how each version does. Frozen and plain."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryItem:
    """One thing to ask, and what makes an answer right. Which fields a matcher needs: `canaries/items.py`."""

    item: str  # its id in the suite
    prompt: str
    matcher: str = "contains"  # a value of `gate.grade.Matcher`
    answer: str = ""
    pattern: str = ""  # of regex
    tolerance: float = 0.0  # of numeric: the largest difference that is still right
    choices: tuple[str, ...] = ()  # of choice; the answer is one of them
    schema: str = ""  # of json_schema, as JSON
    kind: str = ""  # a word of the tenant's own, such as "format"
    max_tokens: int = 0  # longest answer; 0: what the matcher usually needs


@dataclass(frozen=True, slots=True, kw_only=True)
class CanarySuite:
    """One version of a named suite. It never changes: other contents are another version."""

    tenant: str
    name: str
    version: int  # counts from 1
    items: tuple[CanaryItem, ...]  # none in listings
    item_count: int
    digest: str
    actor: str
    created_at: datetime
    retired_at: datetime | None = None  # since when it is not asked any more


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryResult:
    """How one version of a tenant's did in one suite at one time: a point of the trend.

    Fractions; the interval of `share` is Wilson's, that of `gain` (over the base) is paired.
    """

    tenant: str
    version: int  # that answers the tenant
    suite: str
    suite_version: int  # 0: shipped facts and unknown things, which have no versions
    n: int  # 0: not measured, and `why`
    share: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float
    fell: tuple[str, ...]  # against what it has lost more than policy accepts: "base", "itself"
    why: str
    taken_at: datetime


def suite_key(name: str, version: int) -> str:
    """Return how a suite's version is called in scorecards: "tone@2"."""
    return f"{name}@{version}"
