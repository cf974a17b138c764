"""Documents: the articles that tenants submit, and the certificate of an unlearned one."""

import hashlib
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DocumentState(StrEnum):
    """Where a document stands."""

    ADMITTED = "admitted"  # screened, waits for a cycle
    LEARNING = "learning"  # claimed by an open cycle
    LEARNED = "learned"  # part of a published and promoted version
    SET_ASIDE = "set_aside"  # its cycle did not promote; `reason` says why
    WITHDRAWN = "withdrawn"  # was learned, then its version was rolled back; never learned again by itself
    QUARANTINED = "quarantined"  # could not be read, or policy denies it; `reason` says why
    HELD = "held"  # policy wants a person to read it first; `reason` says why
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
class Refusal:
    """Why a new document is not admitted."""

    state: DocumentState  # HELD: a person may release it; QUARANTINED: nobody may
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlearned:
    """What forgetting a document did: the certificate, as its audit row has it."""

    tenant: str
    document: str
    versions: tuple[int, ...]  # quarantined: they had learned it
    desired_version: int  # answers now; it never saw the document
    self_edits: int  # deleted
    quiz_items: int  # deleted
    cycle: str  # teaches the other documents of the version left; "" when there are none to teach again


def digest_of(*, title: str, text: str, source: str) -> str:
    """Return what identifies a document: unchanged by Unicode form, line ends and outer or trailing whitespace.

    That of no text at all is its source's.
    """
    lines = unicodedata.normalize("NFC", text).splitlines()
    body = "\n".join(line.rstrip() for line in lines).strip() or source
    return hashlib.sha256(f"{unicodedata.normalize('NFC', title).strip()}\0{body}".encode()).hexdigest()


def id_of(digest: str) -> str:
    """Return the id of the document with that digest."""
    return digest[:16]


RELEASED = "released by a person"
"""The reason of a document that a person released: it is not held again."""
