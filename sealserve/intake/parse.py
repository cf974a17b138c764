"""Turns bytes into text and title, for each format. Runs in the sandbox: hostile files make parsers loop or exhaust
memory.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

from sealserve.intake.charsets import decode
from sealserve.intake.media_types import Claimed, Defect, MediaType, Parsed, Unreadable, claimed
from sealserve.intake.readers.ebooks import read_ebook
from sealserve.intake.readers.html.html_pages import read_html
from sealserve.intake.readers.json_files import read_json
from sealserve.intake.readers.mails import read_mail
from sealserve.intake.readers.markdown_files import read_markdown
from sealserve.intake.readers.separated_values import read_separated
from sealserve.intake.readers.slide_decks import read_slides
from sealserve.intake.readers.spreadsheets import read_spreadsheet
from sealserve.intake.readers.word_files import read_word
from sealserve.intake.recognition import recognise


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """How one format is read: from its bytes, or, for formats that are text, from its decoded text."""

    packages: tuple[str, ...] = ()  # modules that an optional extra installs
    read_bytes: Callable[[bytes], Parsed | Unreadable] | None = None
    read_text: Callable[[str], Parsed | Unreadable] | None = None


def missing_parser(media_type: str) -> str:
    """Return the name of a format whose parser is not installed here; "" if `media_type` can be read."""
    what = claimed(media_type)
    if isinstance(what, Unreadable) or _is_installed(what.media_type):
        return ""
    return what.media_type.name


def parse(content: bytes, *, media_type: str) -> Parsed | Unreadable:
    """Return what `content` says, or why it cannot be read. Its bytes decide what it is, then `media_type`.

    May take any amount of time and memory for all but text: the sandbox bounds it.
    """
    what = recognise(content, media_type=media_type)
    if isinstance(what, Unreadable):
        return what
    if not _is_installed(what.media_type):
        advice = f"this server reads no {what.media_type.name}: pip install 'sealserve[documents]' there"
        return Unreadable(defect=Defect.UNKNOWN_MEDIA_TYPE, advice=advice)
    return read_as(content, what)


def read_as(content: bytes, what: Claimed) -> Parsed | Unreadable:
    """Return what `content` says when it is read as `what`."""
    reader = READERS[what.media_type]
    if reader.read_bytes is not None:
        return reader.read_bytes(content)
    text = decode(content, what)
    if isinstance(text, Unreadable) or reader.read_text is None:
        return text if isinstance(text, Unreadable) else Parsed(title="", text=text)
    return reader.read_text(text)


def _is_installed(media_type: MediaType) -> bool:
    return all(find_spec(package) for package in READERS[media_type].packages)


def _read_plain(text: str) -> Parsed:
    return Parsed(title="", text=text.replace("\r\n", "\n").replace("\r", "\n"))


def _read_attachment(content: bytes, media_type: str) -> Parsed | Unreadable:
    """Return a document that is attached to a mail; mails in mails are read one level deep."""
    what = recognise(content, media_type=media_type)
    if isinstance(what, Claimed) and what.media_type is MediaType.EML:
        return read_mail(content, read_attachment=lambda *_: _NESTED)
    return what if isinstance(what, Unreadable) else parse(content, media_type=media_type)


_NESTED = Unreadable(defect=Defect.TOO_COSTLY, advice="mails in mails in mails are not read")


def _read_pdf(content: bytes) -> Parsed | Unreadable:
    from sealserve.intake.pdf.reading import read_pdf  # its library is optional

    return read_pdf(content)


_WEB = ("lxml", "tinycss2", "cssselect2", "webencodings")

READERS: Mapping[MediaType, Reader] = {
    MediaType.PLAIN: Reader(read_text=_read_plain),
    MediaType.MARKDOWN: Reader(read_text=read_markdown),
    MediaType.HTML: Reader(packages=_WEB, read_text=read_html),
    MediaType.PDF: Reader(packages=("pypdfium2",), read_bytes=_read_pdf),
    MediaType.DOCX: Reader(packages=("docx", "lxml"), read_bytes=read_word),
    MediaType.PPTX: Reader(packages=("pptx", "lxml"), read_bytes=read_slides),
    MediaType.XLSX: Reader(packages=("openpyxl", "defusedxml"), read_bytes=read_spreadsheet),
    MediaType.EPUB: Reader(packages=_WEB, read_bytes=read_ebook),
    MediaType.EML: Reader(packages=_WEB, read_bytes=partial(read_mail, read_attachment=_read_attachment)),
    MediaType.JSON: Reader(read_text=read_json),
    MediaType.CSV: Reader(read_text=partial(read_separated, media_type=MediaType.CSV)),
    MediaType.TSV: Reader(read_text=partial(read_separated, media_type=MediaType.TSV)),
}
"""The reader of each format."""
