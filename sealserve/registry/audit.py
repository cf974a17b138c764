"""The audit chain: one row for each change, in the change's own transaction, each sealed by the one before.

hash = sha256(previous hash + canonical JSON of the row). A row altered, removed or slipped in breaks the chain at
that place; the head row tells of a cut-off tail. Knows identifiers and digests, never text of a document.
"""

import hashlib
from typing import Any

from sqlalchemy import Row, select

from sealserve.canonical import Json, canonical_json
from sealserve.errors import CorruptArtifact
from sealserve.records.audit import AuditRow
from sealserve.records.validation import require_line
from sealserve.registry.sql.database import Database, Transaction
from sealserve.registry.sql.tables import audit, counters

NO_HASH = "0" * 64
"""What the first row has for `previous_hash`."""

MAX_ACTOR_LENGTH = 256

_HEAD = "audit_head"
_BATCH = 1000


class AuditTrail:
    """The audit chain."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(self, *, tenant: str | None = None, after: int = 0, limit: int = 1000) -> tuple[AuditRow, ...]:
        """Return up to `limit` rows with a sequence above `after`, oldest first."""
        with self._database.read() as tx:
            return rows(tx, tenant=tenant, after=after, limit=limit)

    def head(self) -> tuple[int, str]:
        """Return sequence and hash of the newest row: kept elsewhere, it proves that no row was taken away."""
        with self._database.read() as tx:
            return head(tx)

    def verify(self) -> int:
        """Return how many rows the chain has. Raises: CorruptArtifact naming the first broken row."""
        with self._database.read() as tx:
            return verify(tx)


def append(tx: Transaction, action: str, *, actor: str, tenant: str, subject: str, details: Json) -> None:
    """Add a row to the chain, as part of `tx`. Raises: InvalidArgument (actor)."""
    require_line(actor, field="actor", max_length=MAX_ACTOR_LENGTH)
    sequence, previous = head(tx)
    row = {
        "sequence": sequence + 1,
        "at": tx.now,
        "actor": actor,
        "action": action,
        "tenant": tenant,
        "subject": subject,
        "details": details,
    }
    sealed = seal(previous, row)
    tx.insert(audit, [{**row, "previous_hash": previous, "hash": sealed}])
    tx.upsert(counters, [{"name": _HEAD, "value": sequence + 1, "hash": sealed}], key=("name",))


def seal(previous: str, row: Json) -> str:
    """Return the hash of `row` (without its hashes) after a row with hash `previous`."""
    body = canonical_json({**row, "at": row["at"].isoformat(timespec="microseconds")})
    return hashlib.sha256((previous + body).encode()).hexdigest()


def head(tx: Transaction) -> tuple[int, str]:
    """Return sequence and hash of the newest row; (0, NO_HASH) for an empty chain."""
    row = tx.row(select(counters).where(counters.c.name == _HEAD))
    return (row.value, row.hash) if row else (0, NO_HASH)


def rows(tx: Transaction, *, tenant: str | None, after: int, limit: int) -> tuple[AuditRow, ...]:
    """Return up to `limit` rows with a sequence above `after`, oldest first."""
    query = select(audit).where(audit.c.sequence > after).order_by(audit.c.sequence).limit(limit)
    if tenant is not None:
        query = query.where(audit.c.tenant == tenant)
    return tuple(map(_record, tx.rows(query)))


def verify(tx: Transaction) -> int:
    """Return the number of rows in the chain. Raises: CorruptArtifact naming the first broken row."""
    count, previous = 0, NO_HASH
    while batch := rows(tx, tenant=None, after=count, limit=_BATCH):
        for row in batch:
            if row.sequence != count + 1 or row.previous_hash != previous or _sealed(row) != row.hash:
                raise CorruptArtifact(f"the audit chain is broken at row {count + 1}")
            count, previous = row.sequence, row.hash
    if head(tx) != (count, previous):
        raise CorruptArtifact(f"the audit chain is broken at row {count + 1}: it ends before its recorded head")
    return count


def _sealed(row: AuditRow) -> str:
    names = ("sequence", "at", "actor", "action", "tenant", "subject", "details")
    return seal(row.previous_hash, {name: getattr(row, name) for name in names})


def _record(row: Row[Any]) -> AuditRow:
    return AuditRow(**row._mapping)
