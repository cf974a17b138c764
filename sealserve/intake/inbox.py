"""Intake of documents: bytes in, a stored document out, admitted, held or quarantined with its reason.

Every source (RPC, watched directory) calls `receive`. Nothing that a sender wrote is read in this process: the sandbox
does it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import NoReturn

import structlog

from sealserve.errors import InvalidArgument
from sealserve.intake.comparison import LOOKED_AT, MAX_COMPARED_CHARACTERS, Comparison, Earlier
from sealserve.intake.examine import Examined
from sealserve.intake.media_types import Defect, Unreadable
from sealserve.intake.normalise import MAX_TITLE_SOURCE, clean_title
from sealserve.intake.sandbox import Sandbox
from sealserve.records.documents import (
    LEFT,
    LIKE,
    REPLACED,
    Document,
    DocumentState,
    IncomingDocument,
    NewDocument,
    Refusal,
    digest_of,
    id_of,
    quoting,
)
from sealserve.records.validation import MAX_LABEL_LENGTH
from sealserve.registry.registry import Registry
from sealserve.settings.settings import IntakeSettings
from sealserve.telemetry import Telemetry
from sealserve.telemetry.names import Attribute, LogEvent, Span

_LOG = structlog.get_logger(__name__)
_MAX_MEDIA_TYPE_CHARACTERS = 120
_MAX_SHOWN_CHARACTERS = 200


_BELIEVED = frozenset({DocumentState.ADMITTED, DocumentState.LEARNING, DocumentState.LEARNED, DocumentState.SET_ASIDE})
"""States whose documents count as evidence; SET_ASIDE ones were not learned, but their statements still count."""

_REPLACED_STATES = frozenset({DocumentState.SET_ASIDE, DocumentState.FORGOTTEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A readable document, and how it compares with the tenant's others."""

    examined: Examined
    comparison: Comparison


class Inbox:
    """Receives documents for every tenant. Safe to use from many threads; blocking."""

    def __init__(
        self,
        registry: Registry,
        settings: IntakeSettings,
        *,
        refuse: Callable[..., Refusal | None],
        telemetry: Telemetry | None = None,
        sandbox: Sandbox | None = None,
    ) -> None:
        """`refuse` returns why a document may not be learned from, or None (`PolicyEnforcer.refuse_document`)."""
        self._registry = registry
        self._refuse = refuse
        self._settings = settings
        self._telemetry = telemetry or Telemetry.off()
        self._sandbox = sandbox or Sandbox()

    @property
    def max_file_bytes(self) -> int:
        """The largest content that `receive` takes."""
        return self._settings.max_file_bytes

    def receive(
        self,
        tenant: str,
        content: bytes,
        *,
        media_type: str,
        title: str = "",
        source: str = "rpc",
        actor: str,
        readmit: bool = True,
    ) -> tuple[Document, bool]:
        """Store the document; return it, and False if the same contents were stored already.

        The document is ADMITTED when it can be read and policy allows it, HELD or QUARANTINED with a reason when
        policy does not, and QUARANTINED with its bytes when it cannot be read. Without `title` the document's own
        title is taken, else its first line. With `readmit` False, a document that was set aside or withdrawn stays so.
        Raises: NotFound (tenant), InvalidArgument (empty, too large, bad label), QuotaExceeded, StorageFailed,
        Unavailable (its parser is not installed here, or no process can be started to read it).
        """
        with self._telemetry.span(Span.RECEIVE, {Attribute.TENANT: tenant}) as span:
            self._registry.tenants.get(tenant)
            self.require_size(len(content))
            document, is_new = self._store(
                tenant, content, media_type=media_type, title=title, source=source, actor=actor, readmit=readmit
            )
            span.set_attribute(Attribute.DOCUMENT.value, document.document)
            span.set_attribute(Attribute.DOCUMENT_STATE.value, document.state.value)
            self._report(document, is_new=is_new)
        return document, is_new

    def receive_version(
        self, tenant: str, content: bytes, *, media_type: str, title: str = "", source: str, actor: str
    ) -> tuple[Document, bool]:
        """Store the newest version of what `source` names, and set aside what waits of earlier ones.

        A version that an earlier change replaced comes back when it is the newest again; one that was set aside,
        withdrawn or forgotten for another reason stays so. Returns and raises as `receive`.
        """
        labels = {"media_type": media_type, "title": title, "source": source, "actor": actor}
        document, is_new = self.receive(tenant, content, readmit=False, **labels)
        if document.state in _REPLACED_STATES and document.reason.startswith((REPLACED, LEFT)):
            document, is_new = self.receive(tenant, content, readmit=True, **labels)
        if document.source == source and document.state in _BELIEVED:
            self._registry.documents.replace_earlier(document, actor=actor)
        return document, is_new

    def note_too_large(
        self, tenant: str, *, size_bytes: int, media_type: str, title: str, source: str, actor: str
    ) -> tuple[Document, bool]:
        """Store a QUARANTINED row for a file that is too large to be read, without its bytes.

        Raises: NotFound (tenant), InvalidArgument (bad label), QuotaExceeded, StorageFailed.
        """
        why = Unreadable(defect=Defect.TOO_LARGE, advice=self._too_large(size_bytes))
        document, is_new = self._registry.documents.add(
            tenant,
            NewDocument(
                title=clean_title(title),
                text=f"{source}: {size_bytes} bytes, not kept",
                source=source,
                media_type=media_type,
                state=DocumentState.QUARANTINED,
                reason=str(why),
            ),
            actor=actor,
            readmit=False,
            max_documents=self._settings.max_documents_per_tenant,
        )
        self._report(document, is_new=is_new)
        return document, is_new

    def require_size(self, size: int) -> None:
        """Return if `receive` takes content of `size` bytes. Raises: InvalidArgument (EMPTY, TOO_LARGE)."""
        if not size:
            _reject("the document is empty; send its text", reason="EMPTY")
        if size > self.max_file_bytes:
            _reject(f"the document is too large: {self._too_large(size)}", reason="TOO_LARGE")

    def _too_large(self, size: int) -> str:
        return f"{size} bytes, of {self.max_file_bytes} at most (intake.max_file_bytes); split it"

    def _store(
        self, tenant: str, content: bytes, *, media_type: str, title: str, source: str, actor: str, readmit: bool
    ) -> tuple[Document, bool]:
        read = self._read(tenant, content, media_type=media_type, title=title, source=source)
        if isinstance(read, _Read):
            refusal = self._refusal(
                tenant, read, source=source, media_type=media_type, size_bytes=len(content), actor=actor
            )
        else:
            refusal = Refusal(state=DocumentState.QUARANTINED, reason=str(read))
        stored = self._registry.documents.add(
            tenant,
            NewDocument(
                title=read.examined.title if isinstance(read, _Read) else clean_title(title),
                text=read.examined.text if isinstance(read, _Read) else "",
                source=source,
                media_type=_printable(media_type[:_MAX_MEDIA_TYPE_CHARACTERS]),
                state=refusal.state if refusal else DocumentState.ADMITTED,
                reason=refusal.reason[:MAX_LABEL_LENGTH] if refusal else "",
                raw=None if isinstance(read, _Read) else content,
            ),
            actor=actor,
            readmit=readmit,
            max_documents=self._settings.max_documents_per_tenant,
        )
        if isinstance(read, _Read):
            self._record_subjects(tenant, stored[0], read, actor=actor)
        return stored

    def _read(self, tenant: str, content: bytes, *, media_type: str, title: str, source: str) -> _Read | Unreadable:
        """Return what the document says and how it compares with others, or why it cannot be read."""
        examined = self._sandbox.examine(
            content,
            media_type=media_type[:_MAX_MEDIA_TYPE_CHARACTERS],
            title=title[:MAX_TITLE_SOURCE],
            max_bytes=self._settings.max_text_bytes,
            file_name=_file_name(source),
        )
        if isinstance(examined, Unreadable):
            return examined
        earlier = self._earlier(tenant, examined)
        comparison = self._sandbox.compare(
            examined.text, title=examined.title, source=source, subjects=examined.subjects, earlier=earlier
        )
        return comparison if isinstance(comparison, Unreadable) else _Read(examined=examined, comparison=comparison)

    def _earlier(self, tenant: str, examined: Examined) -> list[Earlier]:
        """Return the newest documents on the same subjects, up to MAX_COMPARED_CHARACTERS in all."""
        found: list[Earlier] = []
        left = MAX_COMPARED_CHARACTERS
        looked_for = (*examined.subjects, *examined.sketch)
        about = self._registry.subjects.documents_about(tenant, looked_for, last=LOOKED_AT)
        released = self._registry.documents.released(tenant, [document.document for document in about])
        for document in about:
            text = self._registry.documents.text(tenant, document.document)
            left -= len(text)
            if left < 0:
                break
            if (text, document.title) != (examined.text, examined.title):
                is_believed = document.state in _BELIEVED
                found.append(
                    Earlier(
                        document=document.document,
                        source=document.source,
                        is_believed=is_believed,
                        is_released=document.document in released,
                        text=text,
                        title=document.title,
                    )
                )
        return found

    def _refusal(
        self, tenant: str, read: _Read, *, source: str, media_type: str, size_bytes: int, actor: str
    ) -> Refusal | None:
        examined = read.examined
        findings = {kind.value: count for kind, count in examined.findings.items()}
        self._telemetry.metrics.findings(findings)
        incoming = IncomingDocument(
            document=id_of(digest_of(title=examined.title, text=examined.text, source=source)),
            title=examined.title,
            source=source,
            media_type=media_type,
            size_bytes=size_bytes,
            findings=findings,
            similar=len(read.comparison.similar),
            contradicted=read.comparison.contradicted,
        )
        refusal = self._refuse(tenant, incoming, actor=actor)
        if refusal is None:
            return None
        return replace(refusal, reason=quoting(refusal.reason, tuple(map(_printable, examined.places))))

    def _record_subjects(self, tenant: str, document: Document, read: _Read, *, actor: str) -> None:
        """Record what the document is about. If it is held, hold documents like it that still wait for a cycle."""
        self._registry.subjects.note(tenant, document.document, (*read.examined.subjects, *read.examined.sketch))
        if document.state is DocumentState.HELD and read.comparison.similar:
            why = f"{LIKE} {document.document}, of the same source"
            self._registry.documents.hold(tenant, read.comparison.similar, reason=why, actor=actor)

    def _report(self, document: Document, *, is_new: bool) -> None:
        defect = document.reason.split(":")[0] if document.state is DocumentState.QUARANTINED else ""
        if is_new:
            self._telemetry.metrics.document_received(document.state, reason=defect)
        _LOG.info(
            LogEvent.DOCUMENT_RECEIVED,
            tenant=document.tenant,
            document=document.document,
            state=document.state.value,
            defect=defect,
            source=document.source,
            is_new=is_new,
        )


def _reject(message: str, *, reason: str) -> NoReturn:
    raise InvalidArgument(message, field="content", reason=reason)


def _file_name(source: str) -> str:
    """Return the name, without its ending, of the file that a source such as "file:handbook/fares.csv" names."""
    return PurePosixPath(source[:MAX_LABEL_LENGTH]).stem if source.startswith("file:") else ""


def _printable(words: str) -> str:
    return "".join(filter(str.isprintable, words[:_MAX_SHOWN_CHARACTERS]))
