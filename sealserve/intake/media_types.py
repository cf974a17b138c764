"""Media types: which one a sender declares, which can be read, and why a document cannot be."""

from dataclasses import dataclass
from enum import StrEnum


class MediaType(StrEnum):
    """The formats that can be read."""

    PLAIN = "text/plain"
    MARKDOWN = "text/markdown"
    HTML = "text/html"
    PDF = "application/pdf"
    DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
    XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    CSV = "text/csv"
    TSV = "text/tab-separated-values"
    EPUB = "application/epub+zip"
    EML = "message/rfc822"
    JSON = "application/json"


SUFFIXES = {
    ".txt": MediaType.PLAIN,
    ".md": MediaType.MARKDOWN,
    ".markdown": MediaType.MARKDOWN,
    ".html": MediaType.HTML,
    ".htm": MediaType.HTML,
    ".xhtml": MediaType.HTML,
    ".pdf": MediaType.PDF,
    ".docx": MediaType.DOCX,
    ".pptx": MediaType.PPTX,
    ".xlsx": MediaType.XLSX,
    ".csv": MediaType.CSV,
    ".tsv": MediaType.TSV,
    ".epub": MediaType.EPUB,
    ".eml": MediaType.EML,
    ".json": MediaType.JSON,
}
"""File name endings that are taken in, and what they hold."""

READABLE = "md, txt, html, pdf, docx, pptx, xlsx, csv, tsv, epub, eml or json"
"""The formats as people name them, for help texts and errors."""

_ALIASES = {
    "text/x-markdown": MediaType.MARKDOWN,
    "application/xhtml+xml": MediaType.HTML,
    "application/x-pdf": MediaType.PDF,
    "application/vnd.ms-word.document.macroenabled.12": MediaType.DOCX,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.template": MediaType.DOCX,
    "application/vnd.ms-powerpoint.presentation.macroenabled.12": MediaType.PPTX,
    "application/vnd.openxmlformats-officedocument.presentationml.slideshow": MediaType.PPTX,
    "application/vnd.openxmlformats-officedocument.presentationml.template": MediaType.PPTX,
    "application/vnd.ms-excel.sheet.macroenabled.12": MediaType.XLSX,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.template": MediaType.XLSX,
    "application/csv": MediaType.CSV,
    "text/x-csv": MediaType.CSV,
    "text/comma-separated-values": MediaType.CSV,
    "text/tsv": MediaType.TSV,
    "text/json": MediaType.JSON,
    "application/ld+json": MediaType.JSON,
    "application/x-ndjson": MediaType.JSON,
    "message/global": MediaType.EML,
}


class Defect(StrEnum):
    """Why a document is quarantined: the first word of its reason, and what metrics count."""

    UNKNOWN_MEDIA_TYPE = "UNKNOWN_MEDIA_TYPE"
    BINARY = "BINARY"
    MISMATCH = "MISMATCH"  # the bytes are another format than the media type says
    ENCODING = "ENCODING"
    BROKEN = "BROKEN"  # the parser gave up
    ENCRYPTED = "ENCRYPTED"
    TOO_COSTLY = "TOO_COSTLY"  # the parser ran out of time or memory
    NO_TEXT = "NO_TEXT"
    TOO_LARGE = "TOO_LARGE"  # the file
    TOO_LONG = "TOO_LONG"  # the text inside it
    HIDDEN_TEXT = "HIDDEN_TEXT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Why there is no text to learn from, and what the sender can do about it."""

    defect: Defect
    advice: str

    def __str__(self) -> str:
        return f"{self.defect.value}: {self.advice}"


LOCKED = Unreadable(defect=Defect.ENCRYPTED, advice="it needs a password; send it without one")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A document's text, not screened yet, and the title it gives itself (may be empty)."""

    title: str
    text: str
    hidden: int = 0  # elements left out because a reader would not see them
    begins_with_title: bool = True  # False: its first line is one row or record among others


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """What the sender says the bytes are; `charset` is empty when nothing was said."""

    media_type: MediaType
    charset: str


def claimed(media_type: str) -> Claimed | Unreadable:
    """Return what a media type such as "text/html; charset=utf-8" says (RFC 9110, section 8.3)."""
    name, *parameters = [part.strip() for part in media_type.lower().split(";")]
    fields = dict(part.split("=", 1) for part in parameters if "=" in part)
    known = _ALIASES.get(name) or next((known for known in MediaType if known.value == name), None)
    if known is None:
        advice = f"media type {name[:80]!r} cannot be read; send {READABLE}"
        return Unreadable(defect=Defect.UNKNOWN_MEDIA_TYPE, advice=advice)
    return Claimed(media_type=known, charset=fields.get("charset", "").strip("\"' "))
