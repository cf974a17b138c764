"""Which documents are about the same subjects.

Subjects are kept as digests. Losing them costs comparisons with earlier documents, never a document.
"""

import hashlib
from collections.abc import Iterable, Sequence

from sqlalchemy import select

from sealserve.records.documents import Document, DocumentState
from sealserve.registry.documents import document_rows
from sealserve.registry.sql import tables as t
from sealserve.registry.sql.database import Database
from sealserve.registry.sql.tables import subjects as table


class DocumentSubjects:
    """What documents are about, as digests."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, tenant: str, document: str, subjects: Iterable[str]) -> None:
        """Record subjects of the document, in addition to those recorded already. Raises: NotFound."""
        with self._database.write() as tx:
            document_rows.get(tx, tenant, document)
            own = table.c.tenant == tenant, table.c.document == document
            earlier = {row.subject for row in tx.rows(select(table.c.subject).where(*own))}
            new = sorted({*map(_digest, subjects)} - earlier)
            if new:
                tx.insert(table, [{"tenant": tenant, "document": document, "subject": subject} for subject in new])

    def documents_about(self, tenant: str, subjects: Sequence[str], *, last: int) -> tuple[Document, ...]:
        """Return the newest `last` documents that share one of `subjects`, newest first."""
        shared = select(table.c.document).where(
            table.c.tenant == tenant, table.c.subject.in_([_digest(subject) for subject in subjects])
        )
        own = t.documents.c.tenant == tenant, t.documents.c.state != DocumentState.FORGOTTEN
        query = select(t.documents.c.document).where(*own, t.documents.c.document.in_(shared))
        with self._database.read() as tx:
            found = [row.document for row in tx.rows(query.order_by(t.documents.c.sequence.desc()).limit(last))]
            return tuple(document_rows.get(tx, tenant, document) for document in found)


def _digest(subject: str) -> str:
    return hashlib.sha256(subject.encode()).hexdigest()[:32]
