"""Versions that policy leaves to people, and what people decide."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sealserve.records.policy_decisions import PolicyDecision


class ApprovalState(StrEnum):
    """The state of a held version."""

    WAITING = "waiting"  # for somebody to decide
    LATE = "late"  # what it was measured against answers no longer: it can only be rejected
    APPROVED = "approved"  # released; it became active then
    REJECTED = "rejected"  # never released; `Vote.reason` says why


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one person said of a held version."""

    actor: str
    approves: bool
    reason: str
    given_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A version that policy left to people. `authors` started its cycle or submitted its documents."""

    tenant: str
    version: int
    cycle: str
    state: ApprovalState
    reason: str  # what holds it
    authors: tuple[str, ...]
    opinions: tuple[Vote, ...]
    held_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRuling:
    """What policy says of one approval: it releases the version, or more people have to approve.

    `counted` are the opinions that were there when it said so; None: whichever there are. `rulings` are kept with the
    approval.
    """

    releases: bool = True
    counted: tuple[Vote, ...] | None = None
    rulings: tuple[PolicyDecision, ...] = ()


OPINIONS_MOVED = "OPINIONS_MOVED"
"""The reason of a Conflict: somebody gave an opinion after those that were counted."""
