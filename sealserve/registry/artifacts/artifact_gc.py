"""Deletes artifacts that nothing uses any more, and never one that something is about to use.

Bytes are put before the row that names them, so that no row ever names what is not there; in between, nothing shows
that they are wanted. Three rules close that gap, whoever runs where and whoever is killed:

- A digest is looked up again under the write lock, and its files are renamed away before the lock is let go.
- A row that names an artifact is written only if, under the same lock, the artifact is found; otherwise a document's
  bytes are put again (`Documents.add`), and a step is done again (`Cycles.record_step`).
- Files are destroyed only once the transaction has ended well. A PostgreSQL server rolls back a process that is stopped
  while it holds the lock. A process resumed after that may have renamed a file that is in use again; its commit fails
  and it restores the file.

So the lock orders the two: either the row comes first, and the sweep finds it, or the sweep does, and the row's writer
finds nothing. If a process is killed between rename and commit, the files stay in `aside/` until the store is opened
again.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import func, literal, select

from sealserve import fault_injection
from sealserve.records.documents import DocumentState
from sealserve.records.versions import VersionState
from sealserve.registry import state_machine
from sealserve.registry.artifacts.artifact_store import ArtifactStore
from sealserve.registry.sql import tables as t
from sealserve.registry.sql.database import Database, Transaction, utc_now
from sealserve.registry.sql.installation_tables import editor_rounds


class ArtifactGc:
    """Deletes the files that nothing names any more."""

    def __init__(self, database: Database, artifacts: ArtifactStore) -> None:
        self._database = database
        self._artifacts = artifacts

    def sweep_unlearned(self, tenant: str) -> int:
        """Delete the files that unlearning left unused; return how many. May be called at any time."""
        with self._database.read() as tx:
            there = [digest for digest in _left_over(tx, tenant) if self._artifacts.has(digest)]
            unused = [digest for digest in there if not _is_used(tx, digest)]
        return sum(self._delete_unless(digest, _is_used) for digest in unused)

    def sweep_unnamed(self, *, seconds: float) -> int:
        """Delete artifacts that no document, version, candidate or editor names, and return how many.

        Artifacts stored in the last `seconds` stay, because a row that names them may be about to be written.
        """
        moment = (self._database.clock or utc_now)().timestamp() - seconds  # as files are stamped
        old = set(self._artifacts.put_before(moment))
        with self._database.read() as tx:
            unnamed = sorted(old - _named(tx))
        return sum(self._delete_unless(digest, is_named) for digest in unnamed)

    def needed(self) -> frozenset[str]:
        """Return what must not be missing: documents, versions that may answer, candidates of open cycles, editors."""
        kept = select(t.documents.c.contents).where(t.documents.c.state != DocumentState.FORGOTTEN)
        ready = select(t.versions.c.artifact).where(t.versions.c.state == VersionState.READY)
        tried = select(t.candidates.c.artifact).where(_is_open())
        with self._database.read() as tx:
            queries = (kept, ready, tried, select(editor_rounds.c.artifact))
            return frozenset(str(row[0]) for query in queries for row in tx.rows(query)) - {""}

    def delete_unnamed(self, digest: str) -> None:
        """Delete an artifact that turned out not to be wanted, unless something names it."""
        self._delete_unless(digest, is_named)

    def _delete_unless(self, digest: str, is_used: Callable[[Transaction, str], bool]) -> bool:
        with self._artifacts.removal() as take, self._database.write() as tx:
            if is_used(tx, digest):
                return False
            take(digest)
            fault_injection.point("registry.sweep.before_commit")
        return True


def touched(tenant: str) -> Any:
    """Return a query of the tenant's cycles from the first one on that claimed a document that is forgotten now."""
    gone = (
        select(t.documents.c.document)
        .where(t.documents.c.tenant == tenant, t.documents.c.state == DocumentState.FORGOTTEN)
        .scalar_subquery()
    )
    first = (
        select(func.min(t.cycles.c.sequence))
        .join(t.cycle_documents, t.cycle_documents.c.cycle == t.cycles.c.cycle)
        .where(t.cycle_documents.c.tenant == tenant, t.cycle_documents.c.document.in_(gone))
        .scalar_subquery()
    )
    return select(t.cycles.c.cycle).where(t.cycles.c.tenant == tenant, t.cycles.c.sequence >= first)


def _left_over(tx: Transaction, tenant: str) -> list[str]:
    """Return the artifacts of forgotten documents, of versions that learned them and of their cycles' candidates.

    Some may be in use elsewhere, because equal contents of two tenants are stored once.
    """
    gone = select(t.documents.c.contents).where(
        t.documents.c.tenant == tenant, t.documents.c.state == DocumentState.FORGOTTEN
    )
    revoked = select(t.versions.c.artifact).where(
        t.versions.c.tenant == tenant, t.versions.c.state == VersionState.QUARANTINED,
        t.versions.c.cycle.in_(touched(tenant)),
    )  # fmt: skip
    tried = select(t.candidates.c.artifact).where(t.candidates.c.cycle.in_(touched(tenant)))
    found = {str(row[0]) for query in (gone, revoked, tried) for row in tx.rows(query)}
    return sorted(found - {""})


def _is_used(tx: Transaction, digest: str) -> bool:
    """Whether a stored document, a version that may answer, or an open cycle needs the artifact."""
    return (
        _is_contents(tx, digest)
        or _finds(tx, t.versions.c.artifact == digest, t.versions.c.state == VersionState.READY)
        or _finds(tx, t.candidates.c.artifact == digest, _is_open())
    )


def _is_open() -> Any:
    return t.candidates.c.cycle.in_(select(t.cycles.c.cycle).where(t.cycles.c.state.in_(state_machine.OPEN_CYCLES)))


def _named(tx: Transaction) -> set[str]:
    """Return every artifact of which `is_named` is true."""
    kept = select(t.documents.c.contents).where(t.documents.c.state != DocumentState.FORGOTTEN)
    adapters = (t.versions.c.artifact, t.candidates.c.artifact, editor_rounds.c.artifact)
    return {str(row[0]) for query in (kept, *map(select, adapters)) for row in tx.rows(query)} - {""}


def is_named(tx: Transaction, digest: str) -> bool:
    """Return whether a document, version, candidate or editor names the artifact, even if nothing needs it."""
    return (
        _is_contents(tx, digest)
        or _finds(tx, t.versions.c.artifact == digest)
        or _finds(tx, t.candidates.c.artifact == digest)
        or _finds(tx, editor_rounds.c.artifact == digest)
    )


def _is_contents(tx: Transaction, digest: str) -> bool:
    return _finds(tx, t.documents.c.contents == digest, t.documents.c.state != DocumentState.FORGOTTEN)


def _finds(tx: Transaction, *conditions: Any) -> bool:
    return tx.row(select(literal(1)).where(*conditions).limit(1)) is not None
