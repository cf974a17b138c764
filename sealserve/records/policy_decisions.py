"""What written rules decide: effects, what each rule said, and the ruling that is kept. Plain data."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sealserve.canonical import Json


class RuleEffect(StrEnum):
    """What a written rule does, strongest first."""

    DENY = "deny"
    HOLD = "hold"
    WARN = "warn"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """What one rule said. `error` tells why it could not be evaluated; it then denies."""

    rule: str
    effect: RuleEffect  # ALLOW: it had nothing against it
    reason: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDecision:
    """One decision by written rules, with all that is needed to explain and to repeat it."""

    ruling: str  # id
    tenant: str
    event: str
    subject: str  # what it is about: a cycle, "tenants/acme/adapters/3", a document
    effect: RuleEffect
    bundle: str  # digest
    input: Json
    results: tuple[RuleResult, ...]
    milliseconds: float
    decided_at: datetime

    @property
    def reasons(self) -> tuple[str, ...]:
        """One line for each rule that spoke."""
        return tuple(
            f"{one.rule}: {one.reason}" + (f" ({one.error})" if one.error else "")
            for one in self.results
            if one.effect is not RuleEffect.ALLOW
        )
