"""ZIP packages (Office files, EPUB), opened within bounds: how large they are inside is known before unpacking."""

import io
import zipfile
import zlib

from sealserve.intake.media_types import LOCKED, Defect, MediaType, Unreadable

ZIP_MAGIC = b"PK\x03\x04"
MAX_MEMBERS = 10_000
MAX_UNPACKED_BYTES = 192 * 2**20
MAX_TEXT_BYTES = 48 * 2**20
"""Of all XML and HTML in a package: parsed, it takes some ten times as much memory, of the sandbox's 1 GiB."""

_TEXT_ENDINGS = (".xml", ".rels", ".xhtml", ".html", ".htm", ".opf", ".ncx", ".vml")
_ENCRYPTED_FLAG = 1
_BROKEN = Unreadable(defect=Defect.BROKEN, advice="the file is damaged; save it anew")
_TOO_COSTLY = Unreadable(defect=Defect.TOO_COSTLY, advice="it unpacks to more than can be read; split it")
_MAIN_PARTS = (
    ("word/document.xml", MediaType.DOCX),
    ("ppt/presentation.xml", MediaType.PPTX),
    ("xl/workbook.xml", MediaType.XLSX),
)
_MAIN_CONTENT_TYPES = (
    (b"wordprocessingml.document.main+xml", MediaType.DOCX),
    (b"ms-word.document.macroEnabled.main+xml", MediaType.DOCX),
    (b"presentationml.presentation.main+xml", MediaType.PPTX),
    (b"spreadsheetml.sheet.main+xml", MediaType.XLSX),
)
_FOREIGN = (
    ("xl/workbook.bin", "a binary Excel workbook; save it as xlsx"),
    ("Index/Document.iwa", "an Apple iWork file; save it as docx, pptx or xlsx"),
    ("content.xml", "an OpenDocument file; save it as docx, pptx or xlsx"),
    ("META-INF/MANIFEST.MF", "a Java archive"),
)
PackageErrors = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError,
    ValueError,
)  # fmt: skip
"""What reading a damaged package raises."""


def open_package(content: bytes) -> zipfile.ZipFile | Unreadable:
    """Return the package, or why it may not be unpacked: damaged, locked, or larger than the bounds inside.

    zipfile reads no more of a member than its directory entry says, so that a false entry cannot exceed the bounds.
    """
    try:
        package = zipfile.ZipFile(io.BytesIO(content))
        members = package.infolist()
    except PackageErrors:
        return _BROKEN
    if any(member.flag_bits & _ENCRYPTED_FLAG for member in members):
        return LOCKED
    texts = sum(member.file_size for member in members if member.filename.lower().endswith(_TEXT_ENDINGS))
    everything = sum(member.file_size for member in members)
    if len(members) > MAX_MEMBERS or texts > MAX_TEXT_BYTES or everything > MAX_UNPACKED_BYTES:
        return _TOO_COSTLY
    return package


def kind_of_package(content: bytes, *, is_claimed: bool) -> MediaType | Unreadable:
    """Return the format of a ZIP file, by what lies in it; with `is_claimed`, a damaged one is BROKEN, not something
    else.
    """
    package = open_package(content)
    if isinstance(package, Unreadable):
        is_just_broken = package.defect is Defect.BROKEN and not is_claimed
        return _no_document("a damaged ZIP or Office file") if is_just_broken else package
    names = set(package.namelist())
    kind = next((kind for part, kind in _MAIN_PARTS if part in names), None)
    if kind is None and "[Content_Types].xml" in names:
        kind = _kind_by_content_types(package)
    if kind is None and (_mimetype(package, names) == MediaType.EPUB.encode() or "META-INF/container.xml" in names):
        kind = MediaType.EPUB
    if kind is not None:
        return kind
    return _no_document(next((what for part, what in _FOREIGN if part in names), "a ZIP file; unpack it"))


def _kind_by_content_types(package: zipfile.ZipFile) -> MediaType | None:
    types = read_member(package, "[Content_Types].xml")
    return next((kind for mark, kind in _MAIN_CONTENT_TYPES if mark in types), None)


def _mimetype(package: zipfile.ZipFile, names: set[str]) -> bytes:
    return read_member(package, "mimetype")[:100].strip() if "mimetype" in names else b""


def read_member(package: zipfile.ZipFile, name: str) -> bytes:
    """Return a member's bytes; none for one that is missing or damaged."""
    try:
        return package.read(name)
    except (KeyError, *PackageErrors):
        return b""


def _no_document(what: str) -> Unreadable:
    return Unreadable(defect=Defect.MISMATCH, advice=f"this is {what}")
