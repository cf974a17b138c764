"""Recognises the format of bytes: by content first, and by what the sender says where the content leaves it open."""

import json
import re
from dataclasses import replace

from sealserve.intake.media_types import READABLE, Claimed, Defect, MediaType, Unreadable, claimed
from sealserve.intake.readers.separated_values import TABS, looks_separated
from sealserve.intake.readers.zip_packages import ZIP_MAGIC, kind_of_package

_MAGIC = (
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"PK\x05\x06", "an empty ZIP file"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"ID3", "an MP3 file"),
    (b"OggS", "an Ogg file"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90\x00", "a program"),
    (b"{\\rtf", "an RTF file; save it as docx"),
    (b"%!PS", "a PostScript file; save it as PDF"),
)
"""First bytes of formats that people send under the name of another one."""

_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_OFFICE = "EncryptedPackage".encode("utf-16-le")
"""The stream in which Office keeps a file with a password ([MS-OFFCRYPTO], 2.3.4.4)."""

_PDF_WINDOW_BYTES = 1024  # PDF 1.7, implementation note 13: the header may stand this far in
_PACKAGES = frozenset({MediaType.DOCX, MediaType.PPTX, MediaType.XLSX, MediaType.EPUB})
_UNSAID = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/zip", "application/x-zip"})
"""Media types that say nothing of what the bytes hold."""

_HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,99}<(?:!doctype\s{1,9}html|html[\s>])", re.IGNORECASE)
_BEFORE_HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,99}(?:<\?xml[^>]{0,200}\?>)?\s{0,99}(?:<!--)?", re.IGNORECASE)
_ANY_TAG = re.compile(rb"<[!/?a-zA-Z]")
_MAIL_FIELD = re.compile(rb"([A-Za-z][A-Za-z0-9-]{1,60}):[ \t]")
_MAIL_WINDOW_BYTES = 32_768


def recognise(content: bytes, *, media_type: str) -> Claimed | Unreadable:
    """Return what `content` is: the format that its bytes show, else the one that `media_type` claims."""
    what = claimed(media_type)
    shown = _shown_by_magic(content, what)
    if shown is not None:
        return shown if isinstance(shown, Unreadable) else Claimed(media_type=shown, charset="")
    if isinstance(what, Unreadable):
        is_unsaid = media_type.split(";", maxsplit=1)[0].strip().lower() in _UNSAID - {""}
        what = Claimed(media_type=MediaType.PLAIN, charset="") if is_unsaid else what
    if isinstance(what, Unreadable):
        return what
    if what.media_type is MediaType.PDF and b"%PDF-" in content[:_PDF_WINDOW_BYTES]:
        return what
    if _is_html(content) and what.media_type is not MediaType.EML:
        return replace(what, media_type=MediaType.HTML)
    if what.media_type in _PACKAGES or what.media_type is MediaType.PDF:
        return _not_what_it_says(what.media_type)
    return replace(what, media_type=_text_format(content, what))


def _shown_by_magic(content: bytes, what: Claimed | Unreadable) -> MediaType | Unreadable | None:
    if content.startswith(b"%PDF-"):
        return MediaType.PDF
    if content.startswith(ZIP_MAGIC):
        is_package = isinstance(what, Claimed) and what.media_type in _PACKAGES
        return kind_of_package(content, is_claimed=is_package)
    if content.startswith(_OLD_OFFICE):
        if _ENCRYPTED_OFFICE in content:
            return Unreadable(defect=Defect.ENCRYPTED, advice="it needs a password; send it without one")
        return _mismatch("an old Office file; save it as docx, pptx or xlsx")
    for magic, name in _MAGIC:
        if content.startswith(magic):
            return _mismatch(name)
    return None


def _mismatch(name: str) -> Unreadable:
    return Unreadable(defect=Defect.MISMATCH, advice=f"this is {name}; send {READABLE}")


def _not_what_it_says(media_type: MediaType) -> Unreadable:
    advice = f"this is no {media_type.name} file; send it under its own media type, or as text"
    return Unreadable(defect=Defect.MISMATCH, advice=advice)


def _is_html(content: bytes) -> bool:
    """Whether a whole page begins here, after a byte order mark, an XML declaration or a comment."""
    head = content[:8192].lstrip(b"\xff\xfe").replace(b"\x00", b"")  # UTF-16 too
    if _HTML.match(head):
        return True
    before = _BEFORE_HTML.match(head)
    rest = head[before.end() :] if before else head
    if before and before[0].endswith(b"<!--"):
        rest = rest[rest.find(b"-->") + 3 :] if b"-->" in rest else b""
    return _HTML.match(rest) is not None


def _text_format(content: bytes, what: Claimed) -> MediaType:
    """Return the format of a text: plain text may be a mail, JSON or a table, and HTML without a tag is plain text."""
    if what.media_type is MediaType.HTML:
        is_wide = b"\x00" in content[:1024]
        return MediaType.HTML if is_wide or _ANY_TAG.search(content) else MediaType.PLAIN
    if what.media_type is not MediaType.PLAIN:
        return what.media_type
    if _is_mail(content):
        return MediaType.EML
    if _is_json(content):
        return MediaType.JSON
    separator = looks_separated(content)
    if separator:
        return MediaType.TSV if separator == TABS else MediaType.CSV
    return MediaType.PLAIN


def _is_mail(content: bytes) -> bool:
    """Whether the text begins with a mail's header: a sender, and what only mail programs write (RFC 5322)."""
    head = content[:_MAIL_WINDOW_BYTES].replace(b"\r\n", b"\n")
    if not _MAIL_FIELD.match(head):
        return False
    names = set()
    for line in head.partition(b"\n\n")[0].split(b"\n"):
        field = _MAIL_FIELD.match(line)
        if not field and line[:1] not in (b" ", b"\t"):
            return False
        if field:
            names.add(field[1].lower())
    return b"from" in names and bool(names & {b"message-id", b"mime-version", b"received"})


def _is_json(content: bytes) -> bool:
    """Whether the whole text is one JSON object or a list of objects."""
    if content.lstrip()[:1] not in (b"{", b"["):
        return False
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) or (isinstance(found, list) and any(isinstance(one, dict) for one in found))
