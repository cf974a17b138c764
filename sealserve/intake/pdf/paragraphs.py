"""Blocks to text: paragraphs without their line breaks, headings with Markdown's marks, lists, tables by rows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise
from statistics import median

from sealserve.intake.pdf import line_starts
from sealserve.intake.pdf.line_starts import SENTENCE_ENDS
from sealserve.intake.pdf.page_lines import LIST_MARK, Block, Line, Shape

_HYPHENS = "-\u2010\u00ad"
_LARGER = 1.15  # times the body's size: a heading
_MUCH_LARGER = 1.6
_LONGEST_HEADING = 160
_LARGE_GAP = 1.35  # times the usual distance of two lines: a new paragraph
_DOUBLE_SPACED = 2.5  # times the size: lines of one paragraph are never further apart
_INDENT = 0.8  # em
_WRAPPED = 0.8  # of the block's width: a line that ends there has no room for a long word
_SECTION = re.compile(r"^[0-9]{1,2}(?:\.[0-9]{1,2}){0,3}\.?\s")
_LEADERS = re.compile(r"(?:\s?[.·…_]){5,}\s?")
_AND = ("and", "or", "und", "oder", "et", "ou", "y", "e", "en", "of", "och", "og")
"""Words before which a hyphen stays: "pre- and post-war"."""


class Kind(Enum):
    """What a part of the text is."""

    TEXT = auto()
    ITEM = auto()
    HEADING = auto()
    TABLE = auto()


@dataclass(slots=True, kw_only=True)
class Part:
    """A paragraph, an item of a list, a heading or a table."""

    kind: Kind
    text: str
    size: float
    is_bold: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    """How the lines of a block are set."""

    left: float
    right: float
    usual_gap: float
    series: frozenset[str]  # marks of its lists
    is_rows: bool  # most lines begin with a number

    def is_wrapped(self, line: Line) -> bool:
        """Return whether the line ends near the right margin."""
        return line.right >= self.left + _WRAPPED * (self.right - self.left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What most of the document is set in."""

    size: float
    is_bold: bool
    words: frozenset[str]  # with hyphens, as they stand inside lines


def body_of(lines: Sequence[Line]) -> Body:
    """Return the size that most characters have, and whether most are bold."""
    sizes: dict[float, int] = {}
    bold = 0
    for line in lines:
        rounded = round(2 * line.size) / 2
        sizes[rounded] = sizes.get(rounded, 0) + len(line.text)
        bold += len(line.text) if line.is_bold else 0
    words = frozenset(word.strip(".,;:()").casefold() for line in lines for word in line.text.split() if "-" in word)
    size = max(sizes, key=lambda one: (sizes[one], -one), default=10.0)
    return Body(size=size, is_bold=bold > 0.5 * sum(sizes.values()), words=words)


def parts_of(blocks: Sequence[Block], body: Body) -> list[Part]:
    """Return the parts of one page's blocks."""
    parts: list[Part] = []
    for block in blocks:
        if block.shape is Shape.TABLE:
            rows = ([join_all(cell.split("\n"), body.words) for cell in cells] for cells in block.rows)
            text = "\n".join(" | ".join(cells).rstrip(" |") for cells in rows)
            parts.append(Part(kind=Kind.TABLE, text=text, size=block.lines[0].size))
        else:
            parts += _prose(block.lines, body)
    return parts


def text_of(pages: Sequence[Sequence[Part]], body: Body) -> str:
    """Return the whole text; a paragraph that goes on in the next column or on the next page is one."""
    joined: list[Part] = []
    for part in (part for page in pages for part in page):
        last = joined[-1] if joined else None
        if last and _goes_on(last, part):
            last.text = join_lines(last.text, part.text, body.words)
        else:
            joined.append(part)
    return _set(joined, body)


def _goes_on(last: Part, part: Part) -> bool:
    is_text = last.kind in (Kind.TEXT, Kind.ITEM) and part.kind is Kind.TEXT and abs(last.size - part.size) < 0.6
    is_open = " " in last.text and not last.text.endswith(SENTENCE_ENDS)
    return is_text and is_open and _goes_on_with(last.text, part.text)


def _set(parts: Sequence[Part], body: Body) -> str:
    out: list[str] = []
    before = None
    for part in parts:
        text = part.text
        if part.kind is Kind.HEADING:
            text = ("# " if part.size >= _MUCH_LARGER * body.size else "## ") + text.lstrip("# ")
        if out:
            is_close = before is part.kind is Kind.ITEM or (before is Kind.HEADING and part.kind is Kind.TABLE)
            out.append("\n" if is_close else "\n\n")
        out.append(text)
        before = part.kind
    return "".join(out)


def _prose(lines: Sequence[Line], body: Body) -> list[Part]:
    setting = _setting_of(lines, body)
    parts: list[Part] = []
    above: Line | None = None
    for line in lines:
        text = line_starts.with_plain_bullet(_LEADERS.sub(" … ", line.text))
        kind = Kind.HEADING if _is_heading(line, body) else Kind.TEXT
        if kind is Kind.TEXT and _begins_item(line, above, parts[-1].kind if parts else kind, setting):
            kind = Kind.ITEM
        if above and parts and kind is not Kind.ITEM and not _breaks(above, line, parts[-1].kind, kind, setting):
            parts[-1].text = join_lines(parts[-1].text, text, body.words)
        else:
            text = line_starts.with_plain_dash(text) if kind is Kind.ITEM else text
            parts.append(Part(kind=kind, text=text, size=line.size, is_bold=line.is_bold))
        above = line
    return [_demoted(part) for part in parts]


def _setting_of(lines: Sequence[Line], body: Body) -> _Setting:
    gaps = [b.baseline - a.baseline for a, b in pairwise(lines) if a.size == b.size]
    usual = median([gap for gap in gaps if gap > 0] or [1.2 * body.size])
    texts = [line.text for line in lines]
    return _Setting(
        left=min(line.left for line in lines),
        right=max(line.right for line in lines),
        usual_gap=min(usual, _DOUBLE_SPACED * body.size),
        series=line_starts.series_in(texts),
        is_rows=line_starts.are_rows(texts),
    )


def _begins_item(line: Line, above: Line | None, last: Kind, setting: _Setting) -> bool:
    is_below = above is not None and 0 < line.baseline - above.baseline <= _LARGE_GAP * setting.usual_gap
    if above is None or not is_below or last is Kind.HEADING:
        return line_starts.begins_item(line.text, "", series=setting.series, is_wrapped=False)
    is_wrapped = setting.is_wrapped(above)
    return line_starts.begins_item(line.text, above.text, series=setting.series, is_wrapped=is_wrapped)


def _demoted(part: Part) -> Part:
    """A bold or large paragraph of several sentences is no heading."""
    if part.kind is Kind.HEADING and len(part.text) > _LONGEST_HEADING:
        part.kind = Kind.TEXT
    return part


def _is_heading(line: Line, body: Body) -> bool:
    text = line.text
    if len(text) > _LONGEST_HEADING or sum(map(str.isalpha, text)) < 2 or LIST_MARK.match(text):
        return False
    if line.size >= _LARGER * body.size:
        return True
    return line.is_bold and not body.is_bold and line.size >= 0.95 * body.size and not text.endswith((".", ",", ";"))


def _breaks(above: Line, line: Line, last: Kind, kind: Kind, setting: _Setting) -> bool:
    """Return whether `line` begins a paragraph of its own below `above`."""
    if (kind is Kind.HEADING) != (last is Kind.HEADING):
        return True
    gap = line.baseline - above.baseline
    if kind is Kind.HEADING:
        return abs(line.size - above.size) > 0.6 or not 0 < gap <= 1.6 * line.size or bool(_SECTION.match(line.text))
    if gap <= 0:  # the next column
        return above.text.endswith(SENTENCE_ENDS) or not _goes_on_with(above.text, line.text)
    if abs(line.size - above.size) > 0.15 * above.size or gap > _LARGE_GAP * setting.usual_gap:
        return True
    if above.text[-1] in _HYPHENS:
        return False
    if last is Kind.ITEM:
        return line.left < above.left - 0.3 * line.size and gap > 1.1 * setting.usual_gap
    if line.left > above.left + _INDENT * line.size and above.text.endswith(SENTENCE_ENDS):
        return True
    return _is_paragraph_below(above, line, setting)


def _is_paragraph_below(above: Line, line: Line, setting: _Setting) -> bool:
    """Return whether a line of text at the usual distance is a paragraph of its own: `above` had room for its word."""
    if line.text[:1].islower():
        return False
    if line.text[:1].isdigit() and (setting.is_rows or above.text[:1].isdigit()):
        return not line_starts.leads_on(above.text, line.text)
    if line_starts.goes_on(line.text, above.text, is_wrapped=setting.is_wrapped(above)):
        return False
    first = line.text.split(" ", 1)[0]
    width = (line.right - line.left) * len(first) / max(1, len(line.text))
    return above.right + width + 0.5 * line.size < setting.right


def _goes_on_with(above: str, text: str) -> bool:
    """Return whether text in the next column or on the next page takes up the sentence of `above`."""
    return text[:1].islower() or line_starts.leads_on(above, text)


def join_lines(above: str, below: str, words: frozenset[str] = frozenset()) -> str:
    """Return two lines as one: a word broken at the line's end is whole again, a compound keeps its hyphen."""
    if not above or not below:
        return above or below
    if above[-1] in _HYPHENS and len(above) > 1 and above[-2].isalpha():
        first = below.split(" ", 1)[0]
        half = above[:-1].rsplit(" ", 1)[-1]
        if first.casefold().strip(",.") in _AND:
            return f"{above} {below}"
        if not first[:1].islower() or f"{half}-{first}".strip(".,;:()").casefold() in words:
            return above + below
        return above[:-1] + below
    if above[-1] == "-" and len(above) > 1 and above[-2].isalnum() and below[0].isalnum():
        return above + below
    if _is_wide(above[-1]) and _is_wide(below[0]):
        return above + below
    return f"{above} {below}"


def _is_wide(letter: str) -> bool:
    """Return whether words of this script have no spaces between them (Chinese, Japanese)."""
    return "\u2e80" <= letter <= "\u9fff" or "\uff00" <= letter <= "\uffef" or letter >= "\U00020000"


def join_all(lines: Sequence[str], words: frozenset[str] = frozenset()) -> str:
    """Return lines of one paragraph as one text."""
    text = ""
    for line in lines:
        text = join_lines(text, line, words)
    return text
