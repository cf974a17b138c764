"""Documents: the articles that tenants submit, and the certificate of an unlearned one."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sealserve.errors import InvalidArgument
from sealserve.records.validation import require_line
from sealserve.stream_safe import normalise


class DocumentState(StrEnum):
    """The state of a document."""

    ADMITTED = "admitted"  # screened, waits for a cycle
    LEARNING = "learning"  # claimed by an open cycle
    LEARNED = "learned"  # part of a published and promoted version
    SET_ASIDE = "set_aside"  # its cycle did not promote, or a newer version came before one; `reason` says which
    WITHDRAWN = "withdrawn"  # was learned, then its version was rolled back; not learned again automatically
    QUARANTINED = "quarantined"  # could not be read, or policy denies it; `reason` says why
    HELD = "held"  # policy, or the judge of passages, wants a person to read it first; `reason` says why
    FORGOTTEN = "forgotten"  # its text and everything made of it is deleted; only its id and digest are left


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One article of one tenant; identity is (tenant, digest of its normalised text)."""

    tenant: str
    document: str  # id: the first 16 hex digits of the digest
    digest: str
    title: str
    source: str  # where it came from: "rpc", "file:handbook/returns.md"
    media_type: str
    size_bytes: int
    state: DocumentState
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDocument:
    """A document to be stored; `raw` is the content of a quarantined document that could not be read."""

    title: str
    text: str
    source: str
    media_type: str
    state: DocumentState = DocumentState.ADMITTED
    reason: str = ""
    raw: bytes | None = None

    @property
    def data(self) -> bytes:
        """The bytes to store."""
        return self.text.encode() if self.raw is None else self.raw

    @property
    def digest(self) -> str:
        """Its identity (`digest_of`); that of unreadable content is the digest of its bytes."""
        if self.raw is not None:
            return hashlib.sha256(self.raw).hexdigest()
        return digest_of(title=self.title, text=self.text, source=self.source)

    def require_acceptable(self) -> None:
        """Return if it may be stored. Raises: InvalidArgument."""
        for label in ("title", "source", "media_type"):
            require_line(getattr(self, label), field=label, is_title=label == "title")
        if self.state not in (DocumentState.ADMITTED, DocumentState.QUARANTINED, DocumentState.HELD):
            raise InvalidArgument(f"a new document is admitted, held or quarantined, not {self.state}", field="state")
        if self.state is DocumentState.ADMITTED and not self.text.strip():
            raise InvalidArgument("the document has no text", field="text")
        try:
            self.text.encode()
        except UnicodeEncodeError as error:
            raise InvalidArgument("the document's text is not valid Unicode", field="text") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingDocument:
    """A readable document that policy decides on; `document` is the id that it will have."""

    document: str
    title: str
    source: str
    media_type: str
    size_bytes: int
    findings: Mapping[str, int]  # how many of each kind (`scanners.findings`)
    similar: int  # documents of the same origin that say the same already (`intake.comparison`)
    contradicted: int  # other origins that agree on what this document denies


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a new document is not admitted."""

    state: DocumentState  # HELD: a person may release it; QUARANTINED: nobody may
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlearned:
    """What unlearning a document did: the certificate, as its audit row has it."""

    tenant: str
    document: str
    versions: tuple[int, ...]  # quarantined: they had learned it
    desired_version: int  # answers now; it never saw the document
    self_edits: int  # deleted
    quiz_items: int  # deleted
    cycle: str  # teaches the other documents of the version left; "" when there are none to teach again


def digest_of(*, title: str, text: str, source: str) -> str:
    """Return what identifies a document: unchanged by Unicode form, line ends and outer or trailing whitespace.

    A document without text is identified by its source.
    """
    lines = normalise("NFC", text).splitlines()
    body = "\n".join(line.rstrip() for line in lines).strip() or source
    return hashlib.sha256(f"{normalise('NFC', title).strip()}\0{body}".encode()).hexdigest()


def id_of(digest: str) -> str:
    """Return the id of the document with that digest."""
    return digest[:16]


_QUOTATION = ": “"


def quoting(reason: str, quotations: Sequence[str]) -> str:
    """Return why a document is held, with what in it is meant."""
    return f"{reason}{_QUOTATION}{'”, “'.join(quotations)}”" if quotations else reason


def without_quotation(reason: str) -> str:
    """Return the reason without words of the document: these may be deleted some day."""
    return reason.partition(_QUOTATION)[0]


LIKE = "like"
"""How the reason of a document begins that is held with a later one that repeats it."""


def rule_that_holds(document: Document) -> str:
    """Return the rule by which a HELD document waits for a person; "" for a document that is not held."""
    if document.state is not DocumentState.HELD:
        return ""
    return "ingest.flood" if document.reason.startswith(f"{LIKE} ") else document.reason.partition(":")[0]


JUDGED = "judge: the base model reads an order to a model here"
"""The reason of a document that the base model, as a judge of passages, holds at the beginning of a cycle."""

POOLED = "too short to be measured alone: waits for more documents (learn.study.pool_bytes)"
"""The reason of an admitted document that waits for others."""

RELEASED = "released by a person"
"""The reason of a document that a person released: it is not held again."""

REPLACED, LEFT = "replaced by", "left the source"
"""How the reason of a document begins that a newer version from the same place replaced, or that left a mirrored
source: it comes back when it is there again."""
