"""The characters of one page as PDFium finds them, gathered into runs: what one text object shows without a space."""

import ctypes
import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

_GAPS = frozenset(
    map(ord, "\t\n\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2008\u2009\u200a\u202f\u3000")
)
_PDFIUM_HYPHEN = "\x02"
"""What PDFium reports for a hyphen at the end of a line."""

_BOLD_WEIGHT = 600
_BOLD_NAMES = ("bold", "black", "heavy", "demi")
_MOST_MARKS = 16  # of one object; more are not looked at
_DEEPEST_FORM = 12


class Box(NamedTuple):
    """A rectangle on the displayed page in points, from its upper left corner; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(slots=True, kw_only=True)
class Style:
    """What the characters of one text object have in common."""

    target: Any  # PDFium's handle of the object; None for text that belongs to none
    number: int  # in order of appearance, from 1
    size: float  # points, as displayed
    is_bold: bool
    is_embedded: bool
    angle: int  # degrees counter-clockwise, of the displayed line, in steps of 5


@dataclass(slots=True, kw_only=True)
class Run:
    """Characters of one object that stand together, in logical order."""

    text: str
    box: Box  # of the ink, as the font describes it
    origin: tuple[float, float]  # of its first character: on the baseline
    style: Style
    is_apart: bool  # a space or the end of a line stands before it


@dataclass(slots=True, kw_only=True)
class PageText:
    """What PDFium finds on a page; `unmapped` counts characters whose font does not say which letters they are."""

    runs: list[Run]
    characters: int
    unmapped: int


class Display:
    """From a page's own coordinates to those of the displayed page: its crop box, turned as its `/Rotate` says."""

    def __init__(self, page: Any) -> None:
        box = pdfium.FS_RECTF()
        pdfium.FPDF_GetPageBoundingBox(page, box)
        self._left, self._bottom, self._right, self._top = box.left, box.bottom, box.right, box.top
        self.turns = pdfium.FPDFPage_GetRotation(page) % 4
        self.width = float(pdfium.FPDF_GetPageWidthF(page))
        self.height = float(pdfium.FPDF_GetPageHeightF(page))

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Return the point's place on the displayed page."""
        if self.turns == 0:
            return x - self._left, self._top - y
        if self.turns == 1:
            return y - self._bottom, x - self._left
        if self.turns == 2:
            return self._right - x, y - self._bottom
        return self._top - y, self._right - x

    def box(self, left: float, bottom: float, right: float, top: float) -> Box:
        """Return the rectangle's place on the displayed page."""
        (a, b), (c, d) = self.point(left, bottom), self.point(right, top)
        return Box(min(a, c), min(b, d), max(a, c), max(b, d))


def read_characters(page: Any, display: Display) -> PageText:
    """Return the runs of `page`, seen or not. What `/ActualText` would put in place of drawn letters is not taken: a
    reader sees what is drawn.
    """
    for target in page_objects(page):
        if pdfium.FPDFPageObj_GetType(target) == pdfium.FPDF_PAGEOBJ_TEXT:
            _drop_actual_text(target)
    text_page = pdfium.FPDFText_LoadPage(page)
    if not text_page:
        return PageText(runs=[], characters=0, unmapped=0)
    try:
        reader = _Reader(text_page, display)
        reader.read()
        return PageText(runs=reader.runs, characters=reader.characters, unmapped=reader.unmapped)
    finally:
        pdfium.FPDFText_ClosePage(text_page)


def page_objects(page: Any) -> Iterator[Any]:
    """Yield the objects of `page` in drawing order; those of a form follow the form."""
    for place in range(pdfium.FPDFPage_CountObjects(page)):
        yield from _with_parts(pdfium.FPDFPage_GetObject(page, place), 0)


def _with_parts(target: Any, depth: int) -> Iterator[Any]:
    yield target
    if depth < _DEEPEST_FORM and pdfium.FPDFPageObj_GetType(target) == pdfium.FPDF_PAGEOBJ_FORM:
        for place in range(max(0, pdfium.FPDFFormObj_CountObjects(target))):
            yield from _with_parts(pdfium.FPDFFormObj_GetObject(target, place), depth + 1)


def _drop_actual_text(target: Any) -> None:
    for place in range(min(_MOST_MARKS, max(0, pdfium.FPDFPageObj_CountMarks(target)))):
        mark = pdfium.FPDFPageObj_GetMark(target, place)
        pdfium.FPDFPageObjMark_RemoveParam(target, mark, b"ActualText")


class _Reader:
    def __init__(self, text_page: Any, display: Display) -> None:
        self.runs: list[Run] = []
        self.characters = self.unmapped = 0
        self._page = text_page
        self._display = display
        self._styles: dict[int, Style] = {}
        self._letters: list[str] = []
        self._boxes: list[tuple[float, float, float, float]] = []
        self._style: Style | None = None
        self._origin = (0.0, 0.0)
        self._is_apart = True

    def read(self) -> None:
        left, right, bottom, top = (ctypes.c_double() for _ in range(4))
        for place in range(pdfium.FPDFText_CountChars(self._page)):
            code = pdfium.FPDFText_GetUnicode(self._page, place)
            if code in _GAPS:
                self._end_run()
                self._is_apart = True
                continue
            self.characters += 1
            if pdfium.FPDFText_HasUnicodeMapError(self._page, place) == 1:
                self.unmapped += 1
                continue
            pdfium.FPDFText_GetCharBox(self._page, place, left, right, bottom, top)
            style = self._style_at(place)
            if style is not self._style:
                self._end_run()
                self._style = style
            if not self._letters:
                self._origin = self._origin_at(place)
            self._letters.append(_letter(code))
            self._boxes.append((left.value, bottom.value, right.value, top.value))
        self._end_run()

    def _end_run(self) -> None:
        if self._letters and self._style is not None:
            boxes = self._boxes
            box = self._display.box(
                min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)
            )
            text = "".join(self._letters)
            if not text.isascii() and is_right_to_left(text):
                text = _logical(self._letters, [self._display.box(*b).left for b in boxes])
            run = Run(text=text, box=box, origin=self._origin, style=self._style, is_apart=self._is_apart)
            self.runs.append(run)
            self._is_apart = False
        self._letters, self._boxes = [], []

    def _style_at(self, place: int) -> Style:
        target = pdfium.FPDFText_GetTextObject(self._page, place)
        address = ctypes.c_void_p.from_buffer(target).value or 0
        style = self._styles.get(address)
        if style is None:
            self._styles[address] = style = self._read_style(place, target or None)
        return style

    def _read_style(self, place: int, target: Any) -> Style:
        matrix = pdfium.FS_MATRIX()
        pdfium.FPDFText_GetMatrix(self._page, place, matrix)
        angle = math.degrees(math.atan2(matrix.b, matrix.a)) - 90 * self._display.turns
        font = pdfium.FPDFTextObj_GetFont(target) if target else None
        return Style(
            target=target,
            number=len(self._styles) + 1,
            size=pdfium.FPDFText_GetFontSize(self._page, place) * math.hypot(matrix.c, matrix.d),
            is_bold=bool(font) and _is_bold(font),
            is_embedded=bool(font) and pdfium.FPDFFont_GetIsEmbedded(font) == 1,
            angle=round(angle / 5) * 5 % 360,
        )

    def _origin_at(self, place: int) -> tuple[float, float]:
        x, y = ctypes.c_double(), ctypes.c_double()
        pdfium.FPDFText_GetCharOrigin(self._page, place, x, y)
        return self._display.point(x.value, y.value)


def _is_bold(font: Any) -> bool:
    if pdfium.FPDFFont_GetWeight(font) >= _BOLD_WEIGHT:
        return True
    name = ctypes.create_string_buffer(128)
    pdfium.FPDFFont_GetBaseFontName(font, name, len(name))
    return any(word in name.value.decode("ascii", "replace").lower() for word in _BOLD_NAMES)


def _letter(code: int) -> str:
    """Return the character; a presentation form (ligatures, shaped Arabic letters) as the letters it stands for."""
    letter = chr(code) if code < 0x110000 and not 0xD800 <= code <= 0xDFFF else "\ufffd"
    if letter == _PDFIUM_HYPHEN:
        return "-"
    if "\ufb00" <= letter <= "\ufdff" or "\ufe70" <= letter <= "\ufefc":
        return unicodedata.normalize("NFKC", letter)
    return letter


def is_right_to_left(text: str) -> bool:
    """Return whether a letter of `text` is written from right to left (Hebrew, Arabic, Syriac, Thaana, N'Ko)."""
    return any("\u0590" <= letter <= "\u08ff" or "\ufb1d" <= letter <= "\ufefc" for letter in text)


def _logical(letters: list[str], lefts: list[float]) -> str:
    """Return the letters from right to left by their places; numbers and foreign words in between stay as they are."""
    order = sorted(range(len(letters)), key=lambda place: -lefts[place])
    out: list[str] = []
    foreign: list[str] = []
    for place in order:
        if letters[place].isalnum() and not (is_right_to_left(letters[place]) and letters[place].isalpha()):
            foreign.append(letters[place])
            continue
        out += foreign[::-1]
        foreign = []
        out.append(letters[place])
    return "".join(out + foreign[::-1])
