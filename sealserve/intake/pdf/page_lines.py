"""Runs to lines, and lines to blocks in reading order: columns one after the other, tables row by row."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import groupby, pairwise
from statistics import median

from sealserve.intake.pdf.characters import Run, Style, is_right_to_left

_SAME_ROW = 0.55  # of the smaller height that two lines share
_NO_SPACE = 0.2  # em between two runs that belong to one word, where PDFium sees no space
_CELL_GAP = 0.8  # em between two cells or columns
_GUTTER = 0.6  # em that stay white between columns, all the way down
_BAND_GAP, _LEAST_BANDS = 1.35, 3  # times the usual gap of two rows
_MOST_ROWS = 300  # that a column or table goes through
_FULL_LINE = 0.7  # of its column's width
LIST_MARK = re.compile(r"^(?:[•‣◦▪▫●○■□–—*·\uf0b7\uf0a7-]|\(?(?:[0-9]{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)])$")


@dataclass(slots=True, kw_only=True)
class Line:
    """Words side by side, as far as no gap of a cell's or column's size parts them."""

    text: str
    left: float
    right: float
    baseline: float
    size: float
    is_bold: bool
    runs: list[Run]

    @property
    def top(self) -> float:
        """Where its capitals end."""
        return self.baseline - 0.75 * self.size

    @property
    def bottom(self) -> float:
        """Where its descenders end."""
        return self.baseline + 0.2 * self.size


Row = list[Line]
"""The lines at one height, from left to right."""


class Shape(Enum):
    """How the lines of a block belong together."""

    PROSE = auto()
    TABLE = auto()


@dataclass(slots=True, kw_only=True)
class Block:
    """Lines that are read one after the other; a table's `rows` have a cell for each column: its lines, perhaps
    none.
    """

    shape: Shape
    lines: list[Line] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


def rows_of(runs: Sequence[Run]) -> list[Row]:
    """Return the lines of runs that are all horizontal, from top to bottom."""
    by_style: dict[int, list[Run]] = {}
    for run in runs:
        by_style.setdefault(run.style.number, []).append(run)
    bands: list[list[Run]] = []
    for found in sorted(by_style.values(), key=lambda found: found[0].style.baseline):
        for band in reversed(bands[-3:]):
            if _share_height(band[0].style, found[0].style) >= _SAME_ROW:
                band.extend(found)
                break
        else:
            bands.append(found)
    return [_lines_in(sorted(band, key=lambda run: run.box.left)) for band in bands]


def _share_height(one: Style, other: Style) -> float:
    """Return how much of the smaller line's height two lines have in common."""
    tall, small = max(0.1, one.size), max(0.1, other.size)
    top = max(one.baseline - 0.75 * tall, other.baseline - 0.75 * small)
    bottom = min(one.baseline + 0.2 * tall, other.baseline + 0.2 * small)
    return (bottom - top) / (0.95 * min(tall, small))


def _lines_in(band: Sequence[Run]) -> Row:
    lines: list[list[Run]] = []
    right = -math.inf
    for run in band:
        size = max(0.1, run.style.size)
        is_marked = bool(lines) and len(lines[-1]) == 1 and bool(LIST_MARK.match(lines[-1][0].text))
        if lines and (run.box.left - right < _CELL_GAP * size or (is_marked and run.box.left - right < 4 * size)):
            lines[-1].append(run)
            right = max(right, run.box.right)
        else:
            lines.append([run])
            right = run.box.right
    return [_line(runs) for runs in lines]


def _line(runs: list[Run]) -> Line:
    largest = max(runs, key=lambda run: (len(run.text), run.style.size))
    letters = sum(len(run.text) for run in runs)
    return Line(
        text=_text_of(runs),
        left=min(run.box.left for run in runs),
        right=max(run.box.right for run in runs),
        baseline=largest.style.baseline,
        size=largest.style.size,
        is_bold=sum(len(run.text) for run in runs if run.style.is_bold) > 0.9 * letters,
        runs=runs,
    )


def _text_of(runs: list[Run]) -> str:
    """Join runs from left to right; in a line of Hebrew or Arabic from right to left, except what is foreign in it."""
    words = _words_of(runs)
    letters = "".join(words)
    if letters.isascii() or not is_right_to_left(letters):
        return " ".join(words)
    is_framed = is_right_to_left(words[0]) and is_right_to_left(words[-1])
    if not is_framed and sum(map(is_right_to_left, letters)) * 2 < sum(map(str.isalpha, letters)):
        return " ".join(_flipped(words, is_right_to_left))
    return " ".join(_flipped(words[::-1], lambda word: any(map(str.isalnum, word)) and not is_right_to_left(word)))


def _flipped(words: list[str], belongs: Callable[[str], bool]) -> list[str]:
    """Return `words` with each stretch of those that belong together turned round."""
    out: list[str] = []
    for is_one, stretch in groupby(words, key=belongs):
        found = list(stretch)
        out += found[::-1] if is_one else found
    return out


def _words_of(runs: list[Run]) -> list[str]:
    words: list[str] = []
    before: Run | None = None
    for run in runs:
        gap = run.box.left - before.box.right if before else math.inf
        size = max(0.1, run.style.size)
        is_apart = gap > _NO_SPACE * size if before is None or not run.is_apart else gap > -0.5 * size
        if is_apart or not words:
            words.append(run.text)
        elif is_right_to_left(run.text):
            words[-1] = run.text + words[-1]
        else:
            words[-1] += run.text
        before = run
    return words


def blocks_of(rows: Sequence[Row]) -> list[Block]:
    """Return the rows in reading order."""
    blocks: list[Block] = []
    place, is_open = 0, False
    while place < len(rows):
        end, gutters = _region(rows, place)
        found = _parted(rows[place:end], gutters) if gutters else []
        if found:
            blocks += found
        else:
            end = place + 1
            if not is_open:
                blocks.append(Block(shape=Shape.PROSE))
            blocks[-1].lines.append(_joined(rows[place]))
        place, is_open = end, not found
    return blocks


def _joined(row: Row) -> Line:
    return row[0] if len(row) == 1 else _line([run for line in row for run in line.runs])


def _region(rows: Sequence[Row], start: int) -> tuple[int, list[float]]:
    """Return where the rows end that gutters run through from `start` on, and the gutters' middles."""
    covered: list[tuple[float, float]] = []
    best: tuple[int, list[float]] = (start + 1, [])
    for place in range(start, min(len(rows), start + _MOST_ROWS)):
        covered = _merged(covered, rows[place])
        if len(covered) > 1:
            best = (place + 1, _gutters(covered))
        elif place > start:
            break
    return best


def _gutters(covered: Sequence[tuple[float, float]]) -> list[float]:
    return [(left[1] + right[0]) / 2 for left, right in pairwise(covered)]


def _merged(covered: Sequence[tuple[float, float]], row: Row) -> list[tuple[float, float]]:
    """Return the union of what is covered and the row's lines; gaps too narrow for a gutter are closed."""
    margin = _GUTTER * max(1.0, median(line.size for line in row))
    spans = sorted([*covered, *((line.left, line.right) for line in row)])
    union = [spans[0]]
    for left, right in spans[1:]:
        if left - union[-1][1] < margin:
            union[-1] = (union[-1][0], max(union[-1][1], right))
        else:
            union.append((left, right))
    return union


def _parted(rows: Sequence[Row], gutters: Sequence[float]) -> list[Block]:
    """Return the blocks of a region: its columns one after the other, or one table; none if it is neither."""
    columns: list[list[tuple[int, Line]]] = [[] for _ in range(len(gutters) + 1)]
    for number, row in enumerate(rows):
        for line in row:
            columns[sum(line.left > gutter for gutter in gutters)].append((number, line))
    if cells := _banded(rows, gutters):
        lines = [line for row in rows for line in row]
        return [Block(shape=Shape.TABLE, lines=lines, rows=[c[::-1] for c in cells] if _run_leftwards(rows) else cells)]
    if _are_columns(columns):
        blocks = []
        for column in columns[::-1] if _run_leftwards(rows) else columns:
            inner = [[line for _, line in lines] for _, lines in groupby(column, key=lambda pair: pair[0])]
            blocks += blocks_of(inner)
        return blocks
    return _tabled(rows)


def _banded(rows: Sequence[Row], gutters: Sequence[float]) -> list[list[str]]:
    """Return the cells of a table whose cells are paragraphs, side by side and with a gap between rows; else nothing.

    Paragraphs of columns do not begin side by side again and again.
    """
    gaps = [below[0].baseline - above[0].baseline for above, below in pairwise(rows)]
    if not gaps:
        return []
    bands: list[list[Row]] = [[rows[0]]]
    for gap, row in zip(gaps, rows[1:], strict=True):
        if gap > _BAND_GAP * median(gaps):
            bands.append([])
        bands[-1].append(row)
    if len(bands) < _LEAST_BANDS or any(len(band[0]) <= len(gutters) for band in bands):
        return []
    return [_merged_cells([_cells_in(row, gutters) for row in band]) for band in bands]


def _run_leftwards(rows: Sequence[Row]) -> bool:
    """Return whether most lines are written from right to left: so are columns and cells."""
    ways = [is_right_to_left(line.text) for row in rows for line in row]
    return sum(ways) * 2 > len(ways)


def _are_columns(columns: Sequence[Sequence[tuple[int, Line]]]) -> bool:
    """Return whether the lines of each column are read on into its next line, not into the next column."""
    if sum(len(column) >= 3 for column in columns) < 2:
        return False
    numbers = [{number for number, _ in column} for column in columns]
    shared = sum(len(numbers[0] & other) for other in numbers[1:])
    fewest = sum(min(len(numbers[0]), len(other)) for other in numbers[1:])
    if shared <= 0.4 * fewest and not _are_cells(columns):
        return True
    return all(_is_prose([line for _, line in column]) for column in columns if len(column) >= 2)


def _are_cells(columns: Sequence[Sequence[tuple[int, Line]]]) -> bool:
    """Return whether a column holds next to nothing but single words and numbers."""
    return any(
        sum(len(line.text.split()) <= 1 and len(line.text) < 20 for _, line in column) > 0.6 * len(column)
        for column in columns
    )


def _is_prose(lines: Sequence[Line]) -> bool:
    left, right = min(line.left for line in lines), max(line.right for line in lines)
    full = sum(line.right - line.left >= _FULL_LINE * (right - left) for line in lines)
    characters = sum(len(line.text) for line in lines) / len(lines)
    words = sum(len(line.text.split()) for line in lines) / len(lines)
    is_long = words >= 2.5 or (characters >= 10 and any(line.text > "\u2e80" for line in lines))
    return is_long and full >= 0.55 * len(lines)


def _tabled(rows: Sequence[Row]) -> list[Block]:
    """Return the table between what stands before and after its rows; nothing if fewer than two rows have cells."""
    full = [place for place, row in enumerate(rows) if len(row) > 1]
    if len(full) < 2:
        return []
    start, end = full[0], full[-1] + 1
    pitch = median([rows[b][0].baseline - rows[a][0].baseline for a, b in pairwise(full)] or [0.0])
    while end < len(rows) and rows[end][0].baseline - rows[end - 1][0].baseline <= 0.9 * pitch:
        end += 1
    covered: list[tuple[float, float]] = []
    for row in rows[start:end]:
        covered = _merged(covered, row)
    table = Block(shape=Shape.TABLE, lines=[line for row in rows[start:end] for line in row])
    table.rows = _cells(rows[start:end], _gutters(covered), pitch=pitch)
    if _run_leftwards(rows[start:end]):
        table.rows = [cells[::-1] for cells in table.rows]
    return [*blocks_of(rows[:start]), table, *blocks_of(rows[end:])]


def _cells(rows: Sequence[Row], gutters: Sequence[float], *, pitch: float) -> list[list[str]]:
    """Return the cells of a table's rows; lines that only go on with the cells above are joined to them."""
    found: list[list[str]] = []
    above = math.inf
    for row in rows:
        cells = _cells_in(row, gutters)
        gap = row[0].baseline - above
        is_close = gap <= 0.8 * pitch or (not cells[0] and gap <= 1.5 * row[0].size)
        if found and is_close and not all(cells):
            found[-1] = _merged_cells([found[-1], cells])
        else:
            found.append(cells)
        above = row[0].baseline
    return found


def _cells_in(row: Row, gutters: Sequence[float]) -> list[str]:
    cells = [""] * (len(gutters) + 1)
    for line in row:
        column = sum(line.left > gutter for gutter in gutters)
        cells[column] = f"{cells[column]} {line.text}".strip()
    return cells


def _merged_cells(rows: Sequence[Sequence[str]]) -> list[str]:
    return ["\n".join(filter(None, cells)) for cells in zip(*rows, strict=True)]
