"""A PDF's bytes to title and text. PDFium is C code: this runs in the sandbox only, whose limits bound it."""

import ctypes
import math
import re
import resource
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pypdfium2.raw as pdfium

from sealserve.intake.media_types import Defect, Parsed, Unreadable
from sealserve.intake.pdf import glyph_soup, page_lines, paragraphs, visibility
from sealserve.intake.pdf.characters import Box, Display, Run, read_characters
from sealserve.intake.pdf.running_heads import Sheet, drop_running_heads

_LOCKED = Unreadable(defect=Defect.ENCRYPTED, advice="it needs a password; send it without one")
_BROKEN = Unreadable(defect=Defect.BROKEN, advice="the PDF is damaged or unusual; print it to a new PDF")
_TOO_LONG = Unreadable(defect=Defect.TOO_COSTLY, advice="it has too many pages or characters; split it")
_SCAN = Unreadable(
    defect=Defect.NO_TEXT,
    advice="the PDF has no text layer; a scan needs text recognition first (ocrmypdf, for example)",
)
_UNSEEN = Unreadable(
    defect=Defect.HIDDEN_TEXT,
    advice="no word of the PDF's text can be seen on its pages; print what is seen to a new PDF",
)
_SOUP = Unreadable(
    defect=Defect.NO_TEXT,
    advice="its fonts do not say which letters they show, so its text is no words; print it to a new PDF, or run text"
    " recognition over it",
)
_ENDLESS = Unreadable(
    defect=Defect.TOO_COSTLY,
    advice="a page comes to no end: its forms draw themselves, or one another, too often; print it to a new PDF",
)
_MOST_LOAD_SECONDS, _LOOK_SECONDS = 4.0, 0.2
"""Of a core, for the drawing operators of one page; a page with a million of them takes about two."""

_MOST_MEMORY_SHARE = 0.75
"""Of what the process may map. Forms that never end take some 200 MiB in a second."""

_MOST_PAGES = 3000
_MOST_CHARACTERS = 4_000_000
_MOST_JUDGED = 2000  # lines of the document, and words of a font, that are looked at for glyphs without letters
_FLATTENED = {pdfium.FPDF_ANNOT_FREETEXT, pdfium.FPDF_ANNOT_WIDGET, pdfium.FPDF_ANNOT_STAMP}
"""Annotations that print their words on the page: typewriter notes, filled-in forms, stamps."""

_MOST_ANNOTATIONS = 2000  # of one page
_JUNK_TITLE = re.compile(
    r"^(?:microsoft (?:word|powerpoint|excel)|powerpoint presentation|word) *(?:-.*)?$"
    r"|^(?:untitled|unbenannt|sans titre|sin t[íi]tulo|document|dokument|slide|presentation|title|none|null|unknown)"
    r"[ _-]?[0-9]*$|^(?:about:|https?:|file:|[a-z]:\\|/)"
    r"|\.(?:docx?|dotx?|pptx?|xlsx?|odt|pdf|indd|qxd|qxp|tex|dvi|rtf|html?|txt|pages|ai|eps|ps|fm|p65|pub)$",
    re.IGNORECASE,
)


class _EndlessPage(Exception):
    """A page whose operators PDFium does not get through in time; the document cannot be closed either."""


@dataclass(slots=True, kw_only=True)
class _Page:
    """What one page gave: what a reader sees of it, and what was left out."""

    height: float
    seen: list[Run]
    without_ink: list[Run]  # invisible text of a page that shows nothing else
    hidden: int


@dataclass(slots=True, kw_only=True)
class _Found:
    """What all pages together gave."""

    pages: list[_Page] = field(default_factory=list)
    characters: int = 0
    unmapped: int = 0
    hidden: int = 0


def read_pdf(content: bytes) -> Parsed | Unreadable:
    """Return the words that the pages show, in reading order, or why there are none.

    Words that a reader does not see are left out and counted, as are notes that are not printed, attached files and
    scripts. The invisible text over a scan's picture is the page's text.
    """
    try:
        return _read(content)
    except _EndlessPage:
        return _ENDLESS


def _read(content: bytes) -> Parsed | Unreadable:
    with _opened(content) as document:
        if not document:
            return _LOCKED if pdfium.FPDF_GetLastError() == pdfium.FPDF_ERR_PASSWORD else _BROKEN
        count = pdfium.FPDF_GetPageCount(document)
        if count < 1:
            return _BROKEN
        if count > _MOST_PAGES:
            return _TOO_LONG
        found = _read_pages(document, count)
        return found if isinstance(found, Unreadable) else _parsed(found, _metadata_title(document))


def warm_up() -> None:
    """Read a small page, so that what is loaded once (fonts of this machine) is there for every child."""
    document = pdfium.FPDF_CreateNewDocument()
    page = pdfium.FPDFPage_New(document, 0, 100, 100)
    drawn = pdfium.FPDFPageObj_NewTextObj(document, b"Helvetica", 12)
    units = (ctypes.c_ushort * 3)(*b"ab", 0)
    pdfium.FPDFText_SetText(drawn, units)
    pdfium.FPDFPage_InsertObject(page, drawn)
    pdfium.FPDFPage_GenerateContent(page)
    display = Display(page)
    _seen_on(page, read_characters(page, display).runs, display)
    pdfium.FPDF_ClosePage(page)
    pdfium.FPDF_CloseDocument(document)


@contextmanager
def _opened(content: bytes) -> Iterator[Any]:
    document = pdfium.FPDF_LoadMemDocument64(content, len(content), None)
    is_busy = False
    try:
        yield document
    except _EndlessPage:
        is_busy = True
        raise
    finally:
        if document and not is_busy:
            pdfium.FPDF_CloseDocument(document)


def _read_pages(document: Any, count: int) -> _Found | Unreadable:
    found = _Found(
        hidden=pdfium.FPDFDoc_GetAttachmentCount(document) + max(0, pdfium.FPDFDoc_GetJavaScriptActionCount(document))
    )
    for number in range(count):
        with _loaded(document, number) as (page, notes):
            if not page:
                return _BROKEN
            found.hidden += notes
            display = Display(page)
            text = read_characters(page, display)
            found.characters += text.characters
            found.unmapped += text.unmapped
            if found.characters > _MOST_CHARACTERS:
                return _TOO_LONG
            found.pages.append(_seen_on(page, text.runs, display))
    return found


@contextmanager
def _loaded(document: Any, number: int) -> Iterator[tuple[Any, int]]:
    """Open a page, with what its annotations print as part of it; and the number of notes that it does not print."""
    page = _load(document, number)
    notes = 0
    try:
        kinds = _annotations(page) if page else []
        notes = sum(kind == pdfium.FPDF_ANNOT_TEXT for kind in kinds)
        if not _FLATTENED.isdisjoint(kinds) and pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY) == 1:
            pdfium.FPDF_ClosePage(page)
            page = None
            page = _load(document, number)
        yield page, notes
    finally:
        if page:
            pdfium.FPDF_ClosePage(page)


def _load(document: Any, number: int) -> Any:
    """Load a page. PDFium follows forms that draw themselves 40 levels deep, however many times at each: it is left to
    that, in a thread that ends with this process.

    Raises: _EndlessPage.
    """
    loaded: list[Any] = []
    thread = threading.Thread(target=lambda: loaded.append(pdfium.FPDF_LoadPage(document, number)), daemon=True)
    started = time.process_time()
    thread.start()
    while thread.is_alive():
        thread.join(_LOOK_SECONDS)
        is_long = time.process_time() - started > _MOST_LOAD_SECONDS
        if (is_long or _is_memory_short()) and thread.is_alive():
            raise _EndlessPage
    return loaded[0]


def _is_memory_short() -> bool:
    """Return whether most of what the process may map is mapped: PDFium aborts it where an allocation fails."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    mapped = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    return limit != resource.RLIM_INFINITY and mapped > _MOST_MEMORY_SHARE * limit


def _annotations(page: Any) -> list[int]:
    kinds = []
    for place in range(min(_MOST_ANNOTATIONS, pdfium.FPDFPage_GetAnnotCount(page))):
        annotation = pdfium.FPDFPage_GetAnnot(page, place)
        if annotation:
            kinds.append(pdfium.FPDFAnnot_GetSubtype(annotation))
            pdfium.FPDFPage_CloseAnnot(annotation)
    return kinds


def _seen_on(page: Any, runs: list[Run], display: Display) -> _Page:
    seen = visibility.seen_runs(page, runs, display)
    unseen = [run for run, is_seen in zip(runs, seen, strict=True) if not is_seen]
    without_ink = []
    if unseen and not any(seen) and visibility.is_blank(page, display):
        without_ink = [
            run for run in unseen if visibility.is_without_ink(run) and visibility.is_readable_size(run, display)
        ]
    return _Page(
        height=display.height,
        seen=[run for run, is_seen in zip(runs, seen, strict=True) if is_seen],
        without_ink=without_ink,
        hidden=len({run.style.number for run in unseen}),
    )


def _parsed(found: _Found, title: str) -> Parsed | Unreadable:
    if not any(page.seen for page in found.pages):  # a scan whose pictures were taken out: the layer is all there is
        for page in found.pages:
            page.seen, page.hidden = page.without_ink, page.hidden - len({r.style.number for r in page.without_ink})
    hidden = found.hidden + sum(page.hidden for page in found.pages)
    unknown = found.unmapped + sum(map(_drop_unknown, found.pages))
    if found.characters and unknown > glyph_soup.MOST_UNKNOWN * found.characters:
        return _SOUP
    if _share_of_soup(found.pages) > glyph_soup.MOST_UNKNOWN:
        return _SOUP
    sheets = [sheet for page in found.pages for sheet in _sheets(page)]
    everything = [line for sheet in sheets for row in sheet.rows for line in row]
    if not everything:
        return _UNSEEN if any(page.hidden for page in found.pages) else _SCAN
    if glyph_soup.is_soup(" ".join(line.text for line in everything[:: 1 + len(everything) // _MOST_JUDGED])):
        return _SOUP
    drop_running_heads(sheets, body_size=paragraphs.body_of(everything).size)
    body = paragraphs.body_of([line for sheet in sheets for row in sheet.rows for line in row])
    largest = _largest_text(sheets[0].rows, body)
    pages = [paragraphs.parts_of(page_lines.blocks_of(sheet.rows), body) for sheet in sheets]
    text = paragraphs.text_of(pages, body)
    named = "" if _JUNK_TITLE.search(title) or not any(map(str.isalpha, title)) else title
    return Parsed(title=named or largest, text=text, hidden=max(0, hidden))


def _drop_unknown(page: _Page) -> int:
    """Take the characters that mean nothing out of the page's runs; return how many those were."""
    unknown = 0
    for run in page.seen:
        run.text, count = glyph_soup.without_unknown(run.text)
        unknown += count
    page.seen = [run for run in page.seen if run.text]
    return unknown


def _share_of_soup(pages: Sequence[_Page]) -> float:
    """Return which share of the characters is in fonts whose letters are no words."""
    words: dict[int, set[str]] = {}
    sizes: Counter[int] = Counter()
    for page in pages:
        for run in page.seen:
            sizes[run.style.font] += len(run.text)
            if len(found := words.setdefault(run.style.font, set())) < _MOST_JUDGED:
                found.add(run.text)
    soup = sum(sizes[font] for font, found in words.items() if glyph_soup.is_soup(" ".join(found), least_letters=4))
    return soup / max(1, sizes.total())


def _sheets(page: _Page) -> list[Sheet]:
    """Return the page's rows, for each direction that its text runs in; the one with the most text comes first."""
    by_angle: dict[int, list[Run]] = {}
    for run in page.seen:
        by_angle.setdefault(run.style.angle, []).append(run)
    sheets = []
    for angle, runs in sorted(by_angle.items(), key=lambda item: -sum(len(run.text) for run in item[1])):
        rows = page_lines.rows_of([_turned(run, angle) for run in runs] if angle else runs)
        sheets.append(Sheet(rows=rows, height=page.height if not angle else math.inf))
    return sheets


def _turned(run: Run, angle: int) -> Run:
    """Return the run as it stands when the page is turned so that its line is horizontal."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    corners = [
        (x * cos - y * sin, x * sin + y * cos)
        for x in (run.box.left, run.box.right)
        for y in (run.box.top, run.box.bottom)
    ]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    box = Box(min(xs), min(ys), max(xs), max(ys))
    return Run(text=run.text, box=box, style=run.style, is_apart=run.is_apart)


def _largest_text(rows: Sequence[page_lines.Row], body: paragraphs.Body) -> str:
    """Return the largest text of the first page, if it is larger than the document's body."""
    largest = max((line.size for row in rows for line in row if any(map(str.isalpha, line.text))), default=0.0)
    if largest < 1.1 * body.size:
        return ""
    found = [line.text for row in rows for line in row if line.size >= 0.97 * largest]
    return paragraphs.join_all(found[:4])


def _metadata_title(document: Any) -> str:
    size = pdfium.FPDF_GetMetaText(document, b"Title", None, 0)
    if not 2 < size <= 8192:
        return ""
    buffer = ctypes.create_string_buffer(size)
    pdfium.FPDF_GetMetaText(document, b"Title", buffer, size)
    return buffer.raw[: size - 2].decode("utf-16-le", "replace").strip()
