"""Running heads, running feet and page numbers: what stands at one place of most pages, whatever its digits."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sealserve.intake.pdf.page_lines import Line, Row

_ZONE = 0.09  # of the page's height, from either end
_PLACE = 4.0  # points that one place may differ by
_LEAST_SHARE = 0.3  # of the pages: heads alternate between left and right pages, and name the chapter
_LEAST_PAGES = 3
_CELLS = 3  # of one row: a running head has a left and a right part at most
_LARGER = 1.1  # times the body's size: a heading
_NUMBER = "#"
_LONGEST_NUMBER = 40  # characters
_DIGITS = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(
    r"^\W*(?:(?:page|seite|p\.|s\.)\s*)?(?:#|[ivxlc]{1,6})(?:\s*(?:/|of|von|de|\|)\s*#)?\W*$", re.IGNORECASE
)


@dataclass(slots=True, kw_only=True)
class Sheet:
    """One page's rows, and the page's height in points."""

    rows: list[Row]
    height: float


def drop_running_heads(sheets: Sequence[Sheet], *, body_size: float) -> None:
    """Take what runs through the pages out of `sheets`. Two pages are too few to tell anything but page numbers."""
    texts: dict[tuple[str, int], list[str]] = {}
    for sheet in sheets:
        for key, text in {key: line.text for row in sheet.rows for line in row for key in _keys(line, sheet)}.items():
            texts.setdefault(key, []).append(text)
    least = max(_LEAST_PAGES, _LEAST_SHARE * len(sheets))
    running = {key for key, found in texts.items() if len(found) >= least}
    if len(sheets) == 2:
        running |= {key for key, found in texts.items() if len(found) == 2 and key[0] == _NUMBER}
    numbered = {key for key in running if key[0] != _NUMBER and len(set(texts[key])) > 1}
    kept: set[str] = set()
    for sheet in sheets:
        rows = []
        for row in sheet.rows:
            left = [line for line in row if not _runs(line, sheet, running, numbered, body_size)]
            text = " | ".join(line.text for line in row)
            if len(row) >= _CELLS and text not in kept:  # a table's columns are named again on each page
                kept.add(text)
                left = row
            if left:
                rows.append(left)
        sheet.rows = rows


def _runs(
    line: Line, sheet: Sheet, running: set[tuple[str, int]], numbered: set[tuple[str, int]], body_size: float
) -> bool:
    """Return whether the line runs through the pages; a numbered heading that begins each of them does not."""
    found = running.intersection(_keys(line, sheet))
    is_heading = line.size >= _LARGER * body_size or line.is_bold
    return bool(found - numbered if is_heading else found)


def _keys(line: Line, sheet: Sheet) -> list[tuple[str, int]]:
    """Return a line's text and place, if it stands near the page's top or bottom; a place on a border is two."""
    if _ZONE * sheet.height < line.baseline < (1 - _ZONE) * sheet.height:
        return []
    text = _DIGITS.sub("#", line.text.casefold())
    if len(text) <= _LONGEST_NUMBER and _PAGE_NUMBER.match(text):
        text = _NUMBER
    from_end = line.baseline if line.baseline < sheet.height / 2 else line.baseline - sheet.height
    place = from_end / _PLACE
    return [(text, round(place)), (text, round(place + 0.5) + 1_000_000)]
