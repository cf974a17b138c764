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
_ACTUAL_TEXT, _LONGEST_ACTUAL_TEXT = b"ActualText", 256  # bytes
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
    """Return the runs of `page`, seen or not.

    A reader sees what is drawn: what `/ActualText` would put in place of it counts only where the font leaves unsaid
    which letters it draws.
    """
    actual: dict[int, str] = {}
    for target in page_objects(page):
        if pdfium.FPDFPageObj_GetType(target) == pdfium.FPDF_PAGEOBJ_TEXT and (text := _take_actual_text(target)):
            actual[_address(target)] = text
    text_page = pdfium.FPDFText_LoadPage(page)
    if not text_page:
        return PageText(runs=[], characters=0, unmapped=0)
    try:
        reader = _Reader(text_page, display, actual)
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


def _take_actual_text(target: Any) -> str:
    """Take the `/ActualText` off an object's marks; return the last one's."""
    found = ""
    for place in range(min(_MOST_MARKS, max(0, pdfium.FPDFPageObj_CountMarks(target)))):
        mark = pdfium.FPDFPageObj_GetMark(target, place)
        size = ctypes.c_ulong()
        if not pdfium.FPDFPageObjMark_GetParamStringValue(mark, _ACTUAL_TEXT, None, 0, ctypes.byref(size)):
            continue
        if 2 < size.value <= _LONGEST_ACTUAL_TEXT:
            units = (ctypes.c_ushort * (size.value // 2))()
            pdfium.FPDFPageObjMark_GetParamStringValue(mark, _ACTUAL_TEXT, units, size.value, ctypes.byref(size))
            found = bytes(units)[:-2].decode("utf-16-le", "replace")
        pdfium.FPDFPageObjMark_RemoveParam(target, mark, _ACTUAL_TEXT)
    return found


class _Reader:
    """Goes through the page by stretches without a gap; a call to PDFium for every character would take most of the
    time of a long document.
    """

    def __init__(self, text_page: Any, display: Display, actual: dict[int, str]) -> None:
        self.runs: list[Run] = []
        self.characters = self.unmapped = 0
        self._page = text_page
        self._display = display
        self._actual = actual
        self._styles: dict[int, Style] = {}
        self._mapped: dict[int, set[str]] = {}  # letters that a font is known to have, by its handle
        self._numbers = [ctypes.c_double() for _ in range(4)]
        self._references = [ctypes.byref(number) for number in self._numbers]

    def read(self) -> None:
        for stretch in _STRETCH.finditer(self._text()):
            start, end = stretch.span()
            self.characters += end - start
            self._add(stretch.group(), start)

    def _text(self) -> str:
        """Return one character for each of PDFium's, spaces and line ends among them."""
        count = max(0, pdfium.FPDFText_CountChars(self._page))
        buffer = ctypes.create_string_buffer(2 * count + 2)
        written = pdfium.FPDFText_GetText(self._page, 0, count, ctypes.cast(buffer, _UNITS))
        text = buffer.raw[: 2 * max(0, written - 1)].decode("utf-16-le", "replace")
        if written == count + 1 and len(text) == count:
            return text
        return "".join(_character(pdfium.FPDFText_GetUnicode(self._page, place)) for place in range(count))

    def _add(self, letters: str, start: int) -> None:
        """Add `letters`, the characters from `start` on, as one run; as several where another object begins."""
        first = 0
        while first < len(letters):
            target, end = self._target(start + first), len(letters)
            address = _address(target)
            if end - first > 1 and _address(self._target(start + end - 1)) != address:
                end = first + 1
                while _address(self._target(start + end)) == address:
                    end += 1
            style = self._styles.get(address)
            if style is None:
                self._styles[address] = style = self._read_style(start + first, target or None)
            self._add_run(letters[first:end], start + first, style, is_apart=first == 0)
            first = end

    def _add_run(self, letters: str, start: int, style: Style, *, is_apart: bool) -> None:
        box = self._box(start, len(letters))
        text = letters
        if not self._mapped[style.font].issuperset(letters):
            text = self._known(letters, start, style)
        if not text.isascii() or "\x02" in text:
            text = "".join(map(_letter, text))
            if is_right_to_left(text) and len(text) == len(letters):
                text = _logical(text, [self._box(start + place, 1).left for place in range(len(letters))])
        if text:
            self.runs.append(Run(text=text, box=box, style=style, is_apart=is_apart))

    def _known(self, letters: str, start: int, style: Style) -> str:
        """Return the letters that the font knows; if there is one that it does not know, what the object's
        `/ActualText` says, if anything. Else unknown ones are counted.
        """
        mapped = self._mapped[style.font]
        known = []
        for place, letter in enumerate(letters, start):
            if letter in mapped or pdfium.FPDFText_HasUnicodeMapError(self._page, place) != 1:
                mapped.add(letter)
                known.append(letter)
        if len(known) < len(letters) and (actual := self._actual.pop(_address(style.target), "")):
            return actual
        self.unmapped += len(letters) - len(known)
        return "".join(known)

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
        out.append(letters[place])
    return "".join(out + foreign[::-1])
