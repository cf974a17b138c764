"""The documents of a registry: their bytes in the artifact store, their rows in the database.

A document that was acknowledged can be read: its row is written only while its bytes are there, and while a row names
them no sweep deletes them (`artifact_gc.py`).
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from sealserve import fault_injection
from sealserve.errors import FailedPrecondition
from sealserve.records.documents import (
    POOLED,
    RELEASED,
    REPLACED,
    Document,
    DocumentState,
    NewDocument,
    without_quotation,
)
from sealserve.records.pages import Page
from sealserve.records.validation import require_short
from sealserve.registry import audit, tenants
from sealserve.registry.artifacts.artifact_gc import ArtifactGc
from sealserve.registry.artifacts.artifact_store import ArtifactStore
from sealserve.registry.documents import document_rows
from sealserve.registry.sql import request_ids
from sealserve.registry.sql.database import Database
from sealserve.settings.limits import LimitSettings


class Documents:
    """Documents: bytes in the artifact store, rows in the database."""

    def __init__(self, database: Database, artifacts: ArtifactStore, limits: LimitSettings) -> None:
        self._database = database
        self._artifacts = artifacts
        self._limits = limits

    def add(
        self,
        tenant: str,
        offered: NewDocument,
        *,
        actor: str,
        readmit: bool = True,
        max_documents: int | None = None,
    ) -> tuple[Document, bool]:
        """Store the document; (document, False) if the same contents are stored already (idempotent by digest).

        A SET_ASIDE, WITHDRAWN, QUARANTINED, HELD or FORGOTTEN document becomes ADMITTED again, unless `readmit` is
        false (for a source that offers everything it has again and again).
        Room is counted before the write, where nobody waits for it: a few at once may exceed a limit.
        Raises: NotFound (tenant), InvalidArgument, QuotaExceeded (`max_documents`, or limits.document_bytes).
        """
        offered.require_acceptable()
        with self._database.read() as tx:
            tenants.get(tx, tenant)
            document_rows.require_room(
                tx, tenant, offered, max_documents=max_documents, max_bytes=self._limits.document_bytes
            )
        while True:
            contents = self._artifacts.put_bytes(offered.data)
            with suppress(_SweptAway), self._database.write() as tx:
                kept = document_rows.add(tx, tenant, offered=offered, contents=contents, actor=actor, readmit=readmit)
                if not self._artifacts.has(contents):
                    raise _SweptAway
                fault_injection.point("registry.documents.add.before_commit")
                break
        fault_injection.point("registry.documents.add.after_commit")
        if kept[0].state is DocumentState.FORGOTTEN:
            ArtifactGc(self._database, self._artifacts).delete_unnamed(contents)
        return kept

    def get(self, tenant: str, document: str) -> Document:
        """Return the document. Raises: NotFound."""
        with self._database.read() as tx:
            return document_rows.get(tx, tenant, document)

    def text(self, tenant: str, document: str) -> str:
        """Return the text as it was given. Raises: NotFound, CorruptArtifact."""
        with self._database.read() as tx:
            contents = document_rows.contents(tx, tenant, document)
        return self._artifacts.get_bytes(contents).decode(errors="replace")

    def counts(self) -> dict[DocumentState, int]:
        """Return how many documents are in each state, over all tenants."""
        with self._database.read() as tx:
            return document_rows.counts(tx)

    def page(
        self, tenant: str, *, state: DocumentState | None = None, page_size: int = 50, page_token: str = ""
    ) -> Page[Document]:
        """Return the tenant's documents in order of arrival. Raises: NotFound (tenant), InvalidArgument."""
        with self._database.read() as tx:
            return document_rows.pages(tx, tenant, state=state, page_size=page_size, page_token=page_token)

    def tenants_with_admitted(self, *, min_bytes: int = 0) -> tuple[str, ...]:
        """Return the tenants that have documents of `min_bytes` together waiting for a cycle, by name."""
        with self._database.read() as tx:
            return document_rows.tenants_with_admitted(tx, min_bytes=min_bytes)

    def explain_waiting(self, *, min_bytes: int) -> None:
        """Give admitted documents of tenants with less than `min_bytes` of them a reason: they wait for more."""
        with self._database.write() as tx:
            document_rows.explain_waiting(tx, min_bytes=min_bytes, reason=POOLED)

    def hold(self, tenant: str, names: Sequence[str], *, reason: str, actor: str) -> tuple[str, ...]:
        """Hold those of the documents that no cycle has claimed yet and nobody has released; return their ids."""
        with self._database.write() as tx:
            found = [document_rows.get(tx, tenant, name) for name in names]
            waiting = tuple(
                document.document
                for document in found
                if document.state is DocumentState.ADMITTED and document.reason != RELEASED
            )
            document_rows.move(tx, tenant, waiting, to=DocumentState.HELD, reason=reason)
            for name in waiting:
                subject = document_rows.resource(tenant, name)
                audit.append(tx, "document.hold", actor=actor, tenant=tenant, subject=subject, details={})
        return waiting

    def replace_earlier(self, newest: Document, *, actor: str) -> tuple[str, ...]:
        """Set aside what still waits of earlier versions of `newest`: documents with the same `source`.

        Return their ids. What a cycle has claimed or learned already stays as it is.
        """
        tenant = newest.tenant
        with self._database.read() as tx:
            if not document_rows.waiting_from(tx, tenant, newest.source, besides=newest.document):
                return ()
        with self._database.write() as tx:
            waiting = document_rows.waiting_from(tx, tenant, newest.source, besides=newest.document)
            reason = f"{REPLACED} {newest.document}"
            document_rows.move(tx, tenant, waiting, to=DocumentState.SET_ASIDE, reason=reason)
            for name in waiting:
                subject = document_rows.resource(tenant, name)
                details = {"by": newest.document}
                audit.append(tx, "document.replace", actor=actor, tenant=tenant, subject=subject, details=details)
        return waiting

    def released(self, tenant: str, names: Iterable[str]) -> frozenset[str]:
        """Return those of the documents that a person has released, now or at any time before."""
        with self._database.read() as tx:
            return document_rows.released(tx, tenant, names)

    def release(self, tenant: str, document: str, *, actor: str, reason: str, request_id: str = "") -> Document:
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
                details={"was": without_quotation(present.reason), "reason": reason},
            )
            request_ids.remember(tx, "release_document", **request, answer=document)
            return document_rows.get(tx, tenant, document)


class _SweptAway(Exception):
    """Between putting the bytes and writing their row, somebody who forgot the same contents deleted them."""


def _require_held(present: Document) -> None:
    if present.state is DocumentState.HELD:
        return
    name = document_rows.resource(present.tenant, present.document)
    if present.state is DocumentState.ADMITTED and present.reason == RELEASED:
        raise FailedPrecondition(f"{name} was released already", reason="ALREADY_RELEASED")
    raise FailedPrecondition(f"{name} is {present.state}, and no policy holds it", reason="NOT_HELD")
