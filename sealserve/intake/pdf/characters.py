"""The characters of one page as PDFium finds them, gathered into runs: what one text object shows without a space."""

import ctypes
import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

_STRETCH = re.compile("[^\\s\0]+")
_UNITS = ctypes.POINTER(ctypes.c_ushort)
_PDFIUM_HYPHENS = ("\x02", "\ufffe")
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
    font: int  # PDFium's handle of the font, as a number
    size: float  # points, as displayed
    is_bold: bool
    is_embedded: bool
    angle: int  # degrees counter-clockwise, of the displayed line, in steps of 5
    baseline: float  # its height, points from the top when the page is turned so that the line is horizontal


@dataclass(slots=True, kw_only=True)
class Run:
    """Characters of one object that stand together, in logical order."""

    text: str
    box: Box  # of the ink, as the font describes it
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
        if self.turns == 0:
            return Box(left - self._left, self._top - top, right - self._left, self._top - bottom)
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
        yield from parts_of(pdfium.FPDFPage_GetObject(page, place))


def parts_of(target: Any, depth: int = 0) -> Iterator[Any]:
    """Yield `target` and, if it is a form, what is in it."""
    yield target
    if depth < _DEEPEST_FORM and pdfium.FPDFPageObj_GetType(target) == pdfium.FPDF_PAGEOBJ_FORM:
        for place in range(max(0, pdfium.FPDFFormObj_CountObjects(target))):
            yield from parts_of(pdfium.FPDFFormObj_GetObject(target, place), depth + 1)


def _drop_actual_text(target: Any) -> None:
    for place in range(min(_MOST_MARKS, max(0, pdfium.FPDFPageObj_CountMarks(target)))):
        mark = pdfium.FPDFPageObj_GetMark(target, place)
        pdfium.FPDFPageObjMark_RemoveParam(target, mark, b"ActualText")


class _Reader:
    """Goes through the page by stretches without a gap; a call to PDFium for every character would take most of the
    time of a long document.
    """

    def __init__(self, text_page: Any, display: Display) -> None:
        self.runs: list[Run] = []
        self.characters = self.unmapped = 0
        self._page = text_page
        self._display = display
        self._styles: dict[int, Style] = {}
        self._mapped: dict[int, set[str]] = {}  # letters that a font is known to have, by its handle
        self._numbers = [ctypes.c_double() for _ in range(4)]
        self._references = [ctypes.byref(number) for number in self._numbers]

    def read(self) -> None:
        for stretch in _STRETCH.finditer(self._text()):
            start, end = stretch.span()
            self.characters += end - start
            self._add(stretch.group(), start, is_apart=True)

    def _text(self) -> str:
        """Return one character for each of PDFium's, spaces and line ends among them."""
        count = max(0, pdfium.FPDFText_CountChars(self._page))
        buffer = ctypes.create_string_buffer(2 * count + 2)
        written = pdfium.FPDFText_GetText(self._page, 0, count, ctypes.cast(buffer, _UNITS))
        text = buffer.raw[: 2 * max(0, written - 1)].decode("utf-16-le", "replace")
        if written == count + 1 and len(text) == count:
            return text
        return "".join(_character(pdfium.FPDFText_GetUnicode(self._page, place)) for place in range(count))

    def _add(self, letters: str, start: int, *, is_apart: bool) -> None:
        """Add `letters`, the characters from `start` on, as one run; as several where another object begins."""
        target = self._target(start)
        address = _address(target)
        if len(letters) > 1 and _address(self._target(start + len(letters) - 1)) != address:
            end = 1
            while _address(self._target(start + end)) == address:
                end += 1
            self._add(letters[:end], start, is_apart=is_apart)
            self._add(letters[end:], start + end, is_apart=False)
            return
        style = self._styles.get(address)
        if style is None:
            self._styles[address] = style = self._read_style(start, target or None)
        mapped = self._mapped[style.font]
        if not mapped.issuperset(letters) and not self._are_mapped(letters, start, mapped):
            return
        box = self._box(start, len(letters))
        text = letters
        if not letters.isascii() or "\x02" in letters:
            text = "".join(map(_letter, letters))
            if is_right_to_left(text):
                text = _logical(letters, [self._box(start + place, 1).left for place in range(len(letters))])
        self.runs.append(Run(text=text, box=box, style=style, is_apart=is_apart))

    def _are_mapped(self, letters: str, start: int, mapped: set[str]) -> bool:
        """Return whether the font says which letters these are; what it does not know is counted."""
        unmapped = 0
        for place, letter in enumerate(letters, start):
            if letter in mapped:
                continue
            if pdfium.FPDFText_HasUnicodeMapError(self._page, place) == 1:
                unmapped += 1
            else:
                mapped.add(letter)
        self.unmapped += unmapped
        return not unmapped

    def _target(self, place: int) -> Any:
        return pdfium.FPDFText_GetTextObject(self._page, place)

    def _read_style(self, place: int, target: Any) -> Style:
        matrix = pdfium.FS_MATRIX()
        pdfium.FPDFText_GetMatrix(self._page, place, matrix)
        angle = round((math.degrees(math.atan2(matrix.b, matrix.a)) - 90 * self._display.turns) / 5) * 5 % 360
        x, y = self._display.point(*self._origin(place))
        font = pdfium.FPDFTextObj_GetFont(target) if target else None
        self._mapped.setdefault(_address(font) if font else 0, set())
        return Style(
            target=target,
            number=len(self._styles) + 1,
            font=_address(font) if font else 0,
            size=pdfium.FPDFText_GetFontSize(self._page, place) * math.hypot(matrix.c, matrix.d),
            is_bold=bool(font) and _is_bold(font),
            is_embedded=bool(font) and pdfium.FPDFFont_GetIsEmbedded(font) == 1,
            angle=angle,
            baseline=x * math.sin(math.radians(angle)) + y * math.cos(math.radians(angle)),
        )

    def _box(self, start: int, count: int) -> Box:
        """Return the smallest rectangle around the ink of `count` characters."""
        left, top, right, bottom = self._numbers
        count = pdfium.FPDFText_CountRects(self._page, start, count)
        if count == 1:
            pdfium.FPDFText_GetRect(self._page, 0, *self._references)
            return self._display.box(left.value, bottom.value, right.value, top.value)
        boxes = []
        for place in range(count):
            pdfium.FPDFText_GetRect(self._page, place, *self._references)
            boxes.append((left.value, bottom.value, right.value, top.value))
        if not boxes:  # characters without extent
            boxes.append(2 * self._origin(start))
        lefts, bottoms, rights, tops = zip(*boxes, strict=True)
        return self._display.box(min(lefts), min(bottoms), max(rights), max(tops))

    def _origin(self, place: int) -> tuple[float, float]:
        x, y = self._numbers[:2]
        pdfium.FPDFText_GetCharOrigin(self._page, place, *self._references[:2])
        return x.value, y.value


def _address(target: Any) -> int:
    """Return the address that a handle of PDFium's holds; 0 for none."""
    return ctypes.c_void_p.from_buffer(target).value or 0


def _is_bold(font: Any) -> bool:
    if pdfium.FPDFFont_GetWeight(font) >= _BOLD_WEIGHT:
        return True
    name = ctypes.create_string_buffer(128)
    pdfium.FPDFFont_GetBaseFontName(font, name, len(name))
    return any(word in name.value.decode("ascii", "replace").lower() for word in _BOLD_NAMES)


def _character(code: int) -> str:
    return chr(code) if code < 0x110000 and not 0xD800 <= code <= 0xDFFF else "\ufffd"


def _letter(letter: str) -> str:
    """Return the character; a presentation form (ligatures, shaped Arabic letters) as the letters it stands for."""
    if letter in _PDFIUM_HYPHENS:
        return "-"
    if "\ufb00" <= letter <= "\ufdff" or "\ufe70" <= letter <= "\ufefc":
        return unicodedata.normalize("NFKC", letter)
    return letter


def is_right_to_left(text: str) -> bool:
    """Return whether a letter of `text` is written from right to left (Hebrew, Arabic, Syriac, Thaana, N'Ko)."""
    return any("\u0590" <= letter <= "\u08ff" or "\ufb1d" <= letter <= "\ufefc" for letter in text)


def _logical(letters: str, lefts: list[float]) -> str:
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
        out.append(_letter(letters[place]))
    return "".join(out + foreign[::-1])
