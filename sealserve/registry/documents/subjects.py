"""Which documents speak of the same thing, and moving those that policy stopped: held ones wait for a person.

Subjects are kept as digests. Losing them costs comparisons with earlier documents, never a document.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select

from sealserve.errors import FailedPrecondition
from sealserve.records.documents import HELD, RELEASED, Document, DocumentState
from sealserve.records.validation import require_short
from sealserve.registry import audit
from sealserve.registry.documents import document_rows
from sealserve.registry.sql import request_ids
from sealserve.registry.sql import tables as t
from sealserve.registry.sql.database import Database
from sealserve.registry.sql.tables import subjects as table


class Subjects:
    """The part of the registry's face that compares documents; `_database` is the registry's own."""

    _database: Database

    def note_subjects(self, tenant: str, document: str, subjects: Iterable[str]) -> None:
        """Remember what the document is about; what is noted already stays. Raises: NotFound."""
        with self._database.write() as tx:
            document_rows.get(tx, tenant, document)
            mine = table.c.tenant == tenant, table.c.document == document
            known = {row.subject for row in tx.rows(select(table.c.subject).where(*mine))}
            new = sorted({*map(_digest, subjects)} - known)
            if new:
                tx.insert(table, [{"tenant": tenant, "document": document, "subject": one} for one in new])

    def documents_about(self, tenant: str, subjects: Sequence[str], *, last: int) -> tuple[Document, ...]:
        """Return the newest `last` documents that share one of `subjects`, newest first."""
        shared = select(table.c.document).where(
            table.c.tenant == tenant, table.c.subject.in_([_digest(one) for one in subjects])
        )
        own = t.documents.c.tenant == tenant, t.documents.c.state != DocumentState.FORGOTTEN
        query = select(t.documents.c.document).where(*own, t.documents.c.document.in_(shared))
        with self._database.read() as tx:
            found = [row.document for row in tx.rows(query.order_by(t.documents.c.sequence.desc()).limit(last))]
            return tuple(document_rows.get(tx, tenant, one) for one in found)

    def hold_waiting(self, tenant: str, names: Sequence[str], *, reason: str, actor: str) -> tuple[str, ...]:
        """Quarantine those of the documents that no cycle has claimed yet; return which."""
        with self._database.write() as tx:
            found = [document_rows.get(tx, tenant, one) for one in names]
            waiting = tuple(
                one.document for one in found if one.state is DocumentState.ADMITTED and one.reason != RELEASED
            )
            document_rows.move(tx, tenant, waiting, to=DocumentState.QUARANTINED, reason=HELD + reason)
            for one in waiting:
                subject = document_rows.resource(tenant, one)
                audit.append(tx, "document.hold", actor=actor, tenant=tenant, subject=subject, details={})
        return waiting

    def release_document(
        self, tenant: str, document: str, *, actor: str, reason: str, request_id: str = ""
    ) -> Document:
        """Admit a document that policy held: a person has looked at it. The same request_id again changes nothing.

        Raises: NotFound, InvalidArgument (reason), FailedPrecondition (ALREADY_RELEASED; NOT_HELD: it was never held,
        could not be read, or is denied).
        """
        require_short(reason, field="reason")
        arguments = {"document": document, "reason": reason, "actor": actor}
        request: dict[str, Any] = {"tenant": tenant, "request_id": request_id, "arguments": arguments}
        with self._database.write() as tx:
            present = document_rows.get(tx, tenant, document)
            if request_ids.earlier_answer(tx, "release_document", **request):
                return present
            _require_held(present)
            document_rows.move(tx, tenant, [document], to=DocumentState.ADMITTED, reason=RELEASED)
            audit.append(
                tx,
                "document.release",
                actor=actor,
                tenant=tenant,
                subject=document_rows.resource(tenant, document),
                details={"was": present.reason, "reason": reason},
            )
            request_ids.remember(tx, "release_document", **request, answer=document)
            return document_rows.get(tx, tenant, document)


def _require_held(present: Document) -> None:
    if present.state is DocumentState.QUARANTINED and present.reason.startswith(HELD):
        return
    name = document_rows.resource(present.tenant, present.document)
    if present.state is DocumentState.ADMITTED and present.reason == RELEASED:
        raise FailedPrecondition(f"{name} was released already", reason="ALREADY_RELEASED")
    raise FailedPrecondition(f"{name} is {present.state}, and no policy holds it", reason="NOT_HELD")


def _digest(subject: str) -> str:
    return hashlib.sha256(subject.encode()).hexdigest()[:32]
