"""Intake of documents: bytes in, a stored document out, admitted, held or quarantined with its reason.

Every source (RPC, watched directory) calls `receive`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import structlog

from sealserve.errors import InvalidArgument
from sealserve.intake.comparison import Inspected, inspect
from sealserve.intake.media_types import Defect, Unreadable
from sealserve.intake.normalise import clean_title, screen
from sealserve.intake.parse import DEFAULT_LIMITS, Limits, parse
from sealserve.records.documents import Document, DocumentState, NewDocument, Refusal, digest_of, id_of
from sealserve.records.validation import MAX_LABEL_LENGTH
from sealserve.registry.registry import Registry
from sealserve.settings.settings import IntakeSettings
from sealserve.telemetry import Telemetry
from sealserve.telemetry.names import Attribute, LogEvent, Span

_LOG = structlog.get_logger(__name__)
_MAX_MEDIA_TYPE_CHARACTERS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    title: str
    text: str
    hidden: int


class Inbox:
    """Receives documents for every tenant. Safe to use from many threads; blocking."""

    def __init__(
        self,
        registry: Registry,
        settings: IntakeSettings,
        *,
        refuse: Callable[..., Refusal | None],
        telemetry: Telemetry | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """`refuse` returns why a document may not be learned from, or None (`PolicyEnforcer.refuse_document`)."""
        self._registry = registry
        self._refuse = refuse
        self._settings = settings
        self._telemetry = telemetry or Telemetry.off()
        self._limits = limits

    @property
    def max_document_bytes(self) -> int:
        """The largest content that `receive` takes."""
        return self._settings.max_document_bytes

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
        Raises: NotFound (tenant), InvalidArgument (empty, too large, bad label), QuotaExceeded, StorageFailed.
        """
        with self._telemetry.span(Span.RECEIVE, {Attribute.TENANT: tenant}) as span:
            self._registry.tenants.get(tenant)
            self._check_size(content)
            document, is_new = self._store(
                tenant, content, media_type=media_type, title=title, source=source, actor=actor, readmit=readmit
            )
            span.set_attribute(Attribute.DOCUMENT.value, document.document)
            span.set_attribute(Attribute.DOCUMENT_STATE.value, document.state.value)
            self._report(document, is_new=is_new)
        return document, is_new

    def note_too_large(
        self, tenant: str, *, size_bytes: int, media_type: str, title: str, source: str, actor: str
    ) -> tuple[Document, bool]:
        """Store a QUARANTINED row for a file that is too large to be read, without its bytes.

        Raises: NotFound (tenant), InvalidArgument (bad label), QuotaExceeded, StorageFailed.
        """
        limit = self.max_document_bytes
        why = Unreadable(defect=Defect.TOO_LARGE, advice=f"{size_bytes} bytes exceed the limit of {limit}; split it")
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

    def _check_size(self, content: bytes) -> None:
        if not content:
            _reject("the document is empty; send its text", reason="EMPTY")
        if len(content) > self.max_document_bytes:
            size, limit = len(content), self.max_document_bytes
            _reject(f"the document has {size} bytes and exceeds the limit of {limit}; split it", reason="TOO_LARGE")

    def _store(
        self, tenant: str, content: bytes, *, media_type: str, title: str, source: str, actor: str, readmit: bool
    ) -> tuple[Document, bool]:
        read = self._read(content, media_type=media_type, title=title)
        seen, refusal = None, None
        if isinstance(read, Unreadable):
            refusal = Refusal(state=DocumentState.QUARANTINED, reason=str(read))
        else:
            seen = inspect(self._registry, tenant, title=read.title, text=read.text, source=source, hidden=read.hidden)
            self._telemetry.metrics.findings({kind.value: count for kind, count in seen.findings.items()})
            refusal = self._refuse(
                tenant,
                document=id_of(digest_of(title=read.title, text=read.text, source=source)),
                title=read.title,
                source=source,
                media_type=media_type,
                size_bytes=len(content),
                actor=actor,
                findings={kind.value: count for kind, count in seen.findings.items()},
                similar=len(seen.similar),
                contradicted=seen.contradicted,
            )
        stored = self._registry.documents.add(
            tenant,
            NewDocument(
                title=clean_title(title) if isinstance(read, Unreadable) else read.title,
                text="" if isinstance(read, Unreadable) else read.text,
                source=source,
                media_type=_printable(media_type),
                state=refusal.state if refusal else DocumentState.ADMITTED,
                reason=refusal.reason[:MAX_LABEL_LENGTH] if refusal else "",
                raw=content if isinstance(read, Unreadable) else None,
            ),
            actor=actor,
            readmit=readmit,
            max_documents=self._settings.max_documents_per_tenant,
        )
        if seen is not None:
            self._record_subjects(tenant, stored[0], seen, actor=actor)
        return stored

    def _record_subjects(self, tenant: str, document: Document, seen: Inspected, *, actor: str) -> None:
        """Record what the document is about. If it is held, hold documents like it that still wait for a cycle."""
        self._registry.subjects.note(tenant, document.document, seen.subjects)
        if document.state is DocumentState.HELD and seen.similar:
            why = f"like {document.document}, of the same source"
            self._registry.documents.hold(tenant, seen.similar, reason=why, actor=actor)

    def _read(self, content: bytes, *, media_type: str, title: str) -> _Read | Unreadable:
        """Return title and text, or why there is none."""
        parsed = parse(content, media_type=media_type, limits=self._limits)
        if isinstance(parsed, Unreadable):
            return parsed
        screened = screen(parsed.text, max_bytes=self.max_document_bytes)
        if isinstance(screened, Unreadable):
            return screened
        return _Read(
            title=clean_title(title) or clean_title(parsed.title) or _first_line(screened.text),
            text=screened.text,
            hidden=screened.removed + parsed.hidden,
        )

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


def _first_line(text: str) -> str:
    return next((line for line in map(clean_title, text.split("\n")) if line), "")


def _printable(media_type: str) -> str:
    shown = "".join(character for character in media_type if character.isprintable())
    return shown[:_MAX_MEDIA_TYPE_CHARACTERS]
