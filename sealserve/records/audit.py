"""A row of the audit chain."""

from dataclasses import dataclass
from datetime import datetime

from sealserve.canonical import Json


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
