"""Media types, encodings and magic numbers: what the sender declares, and whether the bytes agree."""

import codecs
import re
from dataclasses import dataclass
from enum import StrEnum


class MediaType(StrEnum):
    """The formats that can be read."""

    PLAIN = "text/plain"
    MARKDOWN = "text/markdown"
    HTML = "text/html"
    PDF = "application/pdf"


SUFFIXES = {
    ".txt": MediaType.PLAIN,
    ".md": MediaType.MARKDOWN,
    ".markdown": MediaType.MARKDOWN,
    ".html": MediaType.HTML,
    ".htm": MediaType.HTML,
    ".pdf": MediaType.PDF,
}
"""File name endings that are taken in, and what they hold."""

_ALIASES = {"text/x-markdown": MediaType.MARKDOWN, "application/xhtml+xml": MediaType.HTML}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A document's text, not screened yet, and the title it gives itself (may be empty)."""

    title: str
    text: str
    hidden: int = 0  # elements left out because a reader would not see them


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
        listed = ", ".join(known.value for known in MediaType)
        return Unreadable(
            defect=Defect.UNKNOWN_MEDIA_TYPE, advice=f"media type {name[:80]!r} cannot be read; send one of {listed}"
        )
    return Claimed(media_type=known, charset=fields.get("charset", "").strip("\"' "))


_MAGIC = (
    (b"%PDF-", "a PDF file"),
    (b"PK\x03\x04", "a ZIP or Office file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x7fELF", "a program"),
    (b"{\\rtf", "an RTF file"),
    (b"\xd0\xcf\x11\xe0", "an old Office file"),
)
"""First bytes of formats that people send under the wrong name."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks, longer ones first: UTF-32 little-endian begins with UTF-16's."""

_CHARSETS = frozenset(
    "ascii big5 euc_jp euc_kr gb18030 gb2312 gbk koi8-r koi8-u shift_jis utf-8 utf-16 utf-16-be utf-16-le utf-32 "
    "iso8859-1 iso8859-2 iso8859-3 iso8859-4 iso8859-5 iso8859-6 iso8859-7 iso8859-8 iso8859-9 iso8859-10 iso8859-13 "
    "iso8859-14 iso8859-15 iso8859-16 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp874".split()
)
"""Python's names of the charsets that web pages use. Others that Python knows (idna, unicode_escape) are traps:
slow beyond measure on hostile input, or no encoding of text at all."""

_META_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset\s*=\s*(?:["']\s*)?([A-Za-z0-9_.:-]{1,40})""", re.IGNORECASE)
_META_WINDOW_BYTES = 1024  # HTML standard, 13.2.3.2: where a page may declare its encoding
_CONTROL_SHARE = 0.02
"""Text has next to no control characters; random bytes have one in eight."""


def mismatch(content: bytes, media_type: MediaType) -> Unreadable | None:
    """Return what is wrong when the first bytes are plainly another format than `media_type`."""
    if media_type is MediaType.PDF:
        return None if b"%PDF-" in content[:1024] else _not_pdf()
    for magic, what in _MAGIC:
        if content.startswith(magic):
            advice = f"this is {what}, not {media_type.value}; send it under its own media type, or as text"
            return Unreadable(defect=Defect.MISMATCH, advice=advice)
    return None


def _not_pdf() -> Unreadable:
    return Unreadable(defect=Defect.MISMATCH, advice="no PDF header; send application/pdf only for PDF files")


def decode(content: bytes, what: Claimed) -> str | Unreadable:
    """Return the text of `content`: by its byte order mark, else the declared charset, else strict UTF-8.

    An encoding is never guessed: a wrong guess would be learned as garbled words.
    """
    encoding = _encoding(content, what)
    if encoding is None:
        advice = f"charset {_declared(content, what)[:40]!r} is not supported; send UTF-8"
        return Unreadable(defect=Defect.ENCODING, advice=advice)
    if not encoding.startswith(("utf-16", "utf-32")) and b"\x00" in content:
        return Unreadable(defect=Defect.BINARY, advice="holds zero bytes; send text, Markdown, HTML or PDF")
    try:
        return _unless_binary(content.decode(encoding))
    except UnicodeError:
        advice = f"not valid {encoding}; save it as UTF-8 or declare its charset"
        return Unreadable(defect=Defect.ENCODING, advice=advice)


def _encoding(content: bytes, what: Claimed) -> str | None:
    """Return the codec's name; None for a declared charset that is not in _CHARSETS."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return encoding
    try:
        name = codecs.lookup(_declared(content, what) or "utf-8").name
    except LookupError:
        return None
    return name if name in _CHARSETS else None


def _declared(content: bytes, what: Claimed) -> str:
    if what.charset or what.media_type is not MediaType.HTML:
        return what.charset
    found = _META_CHARSET.search(content[:_META_WINDOW_BYTES])
    return found.group(1).decode("ascii").lower() if found else ""


def _unless_binary(text: str) -> str | Unreadable:
    controls = sum(1 for character in text if character < " " and character not in "\t\n\r\f\v")
    if controls > len(text) * _CONTROL_SHARE:
        return Unreadable(defect=Defect.BINARY, advice="mostly control characters; send text, Markdown, HTML or PDF")
    return text
