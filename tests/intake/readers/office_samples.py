"""Word files, slides, workbooks and e-books, made in memory."""

import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import docx
import openpyxl
import pptx
from docx.oxml.parser import parse_xml
from pptx.util import Inches

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def word(write: Callable[[Any], None]) -> bytes:
    """Return a Word file that `write` fills."""
    document = docx.Document()
    write(document)
    return _saved(document)


def word_xml(*paragraphs: str) -> bytes:
    """Return a Word file with paragraphs of raw WordprocessingML."""

    def write(document: Any) -> None:
        body = document.element.body
        for number, paragraph in enumerate(paragraphs):
            body.insert(number, parse_xml(paragraph.replace(">", f" {W}>", 1)))

    return word(write)


def slides(write: Callable[[Any], None]) -> bytes:
    """Return a slide deck with one titled slide, whose shapes `write` fills."""
    deck: Any = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Fares"
    write(slide)
    return _saved(deck)


def text_box(slide: Any, words: str, *, left: float = 1.0, top: float = 2.0) -> Any:
    """Add a text box, some inches from the slide's corner; return it."""
    box = slide.shapes.add_textbox(Inches(left), Inches(top), Inches(3), Inches(1))
    box.text_frame.text = words
    return box


def workbook(write: Callable[[Any], None]) -> bytes:
    """Return a workbook that `write` fills."""
    book = openpyxl.Workbook()
    write(book)
    return _saved(book)


def ebook(chapters: Mapping[str, str], *, sheet: str = "", more: Mapping[str, bytes] | None = None) -> bytes:
    """Return an EPUB with XHTML chapters, by file name, a table of contents and a style sheet."""
    items = "".join(f'<item id="{name}" href="{name}" media-type="application/xhtml+xml"/>' for name in chapters)
    spine = "".join(f'<itemref idref="{name}"/>' for name in ("nav", *chapters))
    opf = (
        '<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<dc:title>The ferry book</dc:title></metadata><manifest>{items}"
        '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
        f'<item id="css" href="a.css" media-type="text/css"/></manifest><spine>{spine}</spine></package>'
    )
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    )
    members = {"mimetype": b"application/epub+zip", "META-INF/container.xml": container.encode()}
    members |= {"OEBPS/book.opf": opf.encode(), "OEBPS/nav.xhtml": b"<html><body>Contents</body></html>"}
    members |= {"OEBPS/a.css": sheet.encode()}
    members |= {f"OEBPS/{name}": text.encode() for name, text in chapters.items()}
    return package({**members, **(more or {})})


def package(members: Mapping[str, bytes]) -> bytes:
    """Return a ZIP file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def changed(content: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """Return a ZIP file with one of its members changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    return package({**members, name: change(members[name])})


def _saved(file: Any) -> bytes:
    buffer = io.BytesIO()
    file.save(buffer)
    return buffer.getvalue()
