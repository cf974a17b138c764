"""The documents of a registry: their bytes in the artifact store, their rows in the database.

A document that was acknowledged can be read: its row is written only while its bytes are there, and while a row names
them no sweep deletes them (`artifact_gc.py`).
"""

from abc import abstractmethod
from contextlib import suppress

from sealserve import fault_injection
from sealserve.records.documents import Document, DocumentState
from sealserve.records.pages import Page
from sealserve.records.tenants import Tenant
from sealserve.registry.artifact_gc import Sweeping
from sealserve.registry.documents import rows


class Keeping(Sweeping):
    """The part of the registry's face that keeps documents."""

    def add_document(
        self,
        tenant: str,
        *,
        title: str,
        text: str,
        source: str,
        media_type: str,
        state: DocumentState = DocumentState.ADMITTED,
        reason: str = "",
        actor: str,
        raw: bytes | None = None,
        readmit: bool = True,
        max_documents: int | None = None,
    ) -> tuple[Document, bool]:
        """Keep the document; (document, False) if the same contents are there already (idempotent by digest).

        One that is SET_ASIDE, WITHDRAWN or QUARANTINED becomes ADMITTED again, unless `readmit` is false (a source
        that offers everything it has again and again). `raw` is what could not be read of a quarantined one.
        Raises: NotFound (tenant), InvalidArgument, QuotaExceeded (`max_documents` held already).
        """
        offered = rows.Offered(
            title=title, text=text, source=source, media_type=media_type, state=state, reason=reason, raw=raw
        )
        offered.require_acceptable()
        self.tenant(tenant)
        while True:
            contents = self.artifacts.put_bytes(offered.data)
            with suppress(_SweptAway), self._database.write() as tx:
                kept = rows.add(
                    tx, tenant, offered=offered, contents=contents, actor=actor, readmit=readmit,
                    max_documents=max_documents,
                )  # fmt: skip
                if not self.artifacts.has(contents):
                    raise _SweptAway
                fault_injection.point("registry.add_document.before_commit")
                break
        fault_injection.point("registry.add_document.after_commit")
        if kept[0].state is DocumentState.FORGOTTEN:
            self.delete_unnamed(contents)
        return kept

    def document(self, tenant: str, document: str) -> Document:
        """Return the document. Raises: NotFound."""
        with self._database.read() as tx:
            return rows.get(tx, tenant, document)

    def document_text(self, tenant: str, document: str) -> str:
        """Return the text as it was given. Raises: NotFound, CorruptArtifact."""
        with self._database.read() as tx:
            contents = rows.contents(tx, tenant, document)
        return self.artifacts.get_bytes(contents).decode(errors="replace")

    def document_counts(self) -> dict[DocumentState, int]:
        """Return how many documents stand in each state, over all tenants."""
        with self._database.read() as tx:
            return rows.counts(tx)

    def documents(
        self, tenant: str, *, state: DocumentState | None = None, page_size: int = 50, page_token: str = ""
    ) -> Page[Document]:
        """Return the tenant's documents in order of arrival. Raises: NotFound (tenant), InvalidArgument."""
        with self._database.read() as tx:
            return rows.pages(tx, tenant, state=state, page_size=page_size, page_token=page_token)

    def tenants_with_admitted_documents(self) -> tuple[str, ...]:
        """Return the tenants that have documents waiting for a cycle, by name."""
        with self._database.read() as tx:
            return rows.tenants_with_admitted(tx)

    @abstractmethod
    def tenant(self, tenant: str) -> Tenant:
        """Return the tenant. Raises: NotFound."""


class _SweptAway(Exception):
    """Between putting the bytes and writing their row, somebody who forgot the same contents deleted them."""
