"""Spreadsheets: the rows of each visible sheet, each told with its headings.

Left out and counted: hidden sheets, rows and columns, comments, and cells whose letters have the colour of the cell.
Formulas are read by the value that was last calculated.
"""

import io
import warnings
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

from sealserve.intake.media_types import Defect, Parsed, Unreadable
from sealserve.intake.readers.colours import WHITE, can_be_seen, hex_colour
from sealserve.intake.readers.markdown_text import heading, paragraphs
from sealserve.intake.readers.separated_values import told
from sealserve.intake.readers.zip_packages import PackageErrors, open_package

MAX_SHEETS = 256
MAX_CELLS = 400_000
_MAX_MERGED_CELLS = 20_000
_BROKEN = Unreadable(defect=Defect.BROKEN, advice="the workbook is damaged or unusual; save it anew as xlsx")
_TOO_COSTLY = Unreadable(defect=Defect.TOO_COSTLY, advice="it has more sheets or cells than can be read; split it")
_CURRENCIES = ("€", "$", "£", "¥", "₹", "₽", "₩", "₪", "฿", "zł", "Kč", "kr")


def read_spreadsheet(content: bytes) -> Parsed | Unreadable:
    """Return the title and the rows of a workbook."""
    import openpyxl
    from defusedxml.common import DefusedXmlException

    package = open_package(content)
    if isinstance(package, Unreadable):
        return package
    if sum(name.startswith("xl/worksheets/") and name.endswith(".xml") for name in package.namelist()) > MAX_SHEETS:
        return _TOO_COSTLY
    try:
        with warnings.catch_warnings(action="ignore"):
            book: Any = openpyxl.load_workbook(io.BytesIO(content), data_only=True, keep_links=False)
        if sum(len(sheet._cells) for sheet in book.worksheets) > MAX_CELLS:
            return _TOO_COSTLY
        hidden, blocks = 0, []
        for sheet in book.worksheets:
            words, lost = _sheet(sheet)
            hidden += lost
            blocks += [heading(1, sheet.title), *words] if words and len(book.worksheets) > 1 else words
        title = " ".join((book.properties.title or "").split())
    except (KeyError, AttributeError, IndexError, TypeError, SyntaxError, DefusedXmlException, *PackageErrors):
        return _BROKEN
    if not blocks:
        return Unreadable(defect=Defect.NO_TEXT, advice="the workbook holds no values that are shown")
    only = next((sheet.title for sheet in book.worksheets if sheet.sheet_state == "visible"), "")
    is_named = not only.lower().startswith(("sheet", "tabelle", "feuil", "hoja", "foglio", "blad", "лист", "工作表"))
    named = title or (only if is_named and len(book.worksheets) == 1 else "")
    return Parsed(title=named, text=paragraphs(blocks), hidden=hidden, begins_with_title=False)


def _sheet(sheet: Any) -> tuple[list[str], int]:
    """Return a sheet's rows as texts, and how many hidden things hold words."""
    rows = _rows_by_number(sheet)
    hidden = sum(cell.comment is not None for row in rows.values() for cell in row.values())
    if sheet.sheet_state != "visible":
        return [], hidden + bool(rows)
    columns_out = _hidden_columns(sheet, {column for row in rows.values() for column in row})
    hidden += sum(any(column in row for row in rows.values()) for column in columns_out)
    merged = _merged(sheet)
    shown: dict[int, dict[int, str]] = {}
    for number, row in rows.items():
        if sheet.row_dimensions[number].hidden:
            hidden += 1
            continue
        shown[number] = {}
        for column, cell in row.items():
            if column in columns_out:
                continue
            is_seen = _is_seen(cell)
            hidden += not is_seen
            shown[number][column] = _told(cell) if is_seen else ""
    for (number, column), origin in merged.items():
        if number in shown and column not in columns_out and origin[0] in shown:
            shown[number].setdefault(column, shown[origin[0]].get(origin[1], ""))
    return [text for block in _tables(shown) for text in told(block)], hidden


def _rows_by_number(sheet: Any) -> dict[int, dict[int, Any]]:
    """Return the cells that hold a value. Only these are walked: a sheet's corner may be a billion cells away."""
    rows: dict[int, dict[int, Any]] = {}
    for (number, column), cell in sorted(sheet._cells.items()):
        if cell.value is not None and str(cell.value).strip():
            rows.setdefault(number, {})[column] = cell
    return rows


def _hidden_columns(sheet: Any, used: set[int]) -> set[int]:
    spans = [(one.min or 0, one.max or 0) for one in sheet.column_dimensions.values() if one.hidden]
    return {column for column in used if any(low <= column <= high for low, high in spans)}


def _merged(sheet: Any) -> dict[tuple[int, int], tuple[int, int]]:
    """Return, for each cell that a merged one covers, where that one is."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for span in sheet.merged_cells.ranges:
        if len(found) + span.size["rows"] * span.size["columns"] > _MAX_MERGED_CELLS:
            break
        for number, column in ((one[0], one[1]) for row in span.rows for one in row):
            found[number, column] = (span.min_row, span.min_col)
    return found


def _tables(rows: dict[int, dict[int, str]]) -> Iterator[list[list[str]]]:
    """Yield the tables of a sheet, which empty rows part, with the columns that each uses."""
    numbers = [number for number in sorted(rows) if any(rows[number].values())]
    start = 0
    for place in range(1, len(numbers) + 1):
        if place == len(numbers) or numbers[place] != numbers[place - 1] + 1:
            part = [rows[number] for number in numbers[start:place]]
            columns = sorted({column for row in part for column in row})
            yield [[row.get(column, "") for column in columns] for row in part]
            start = place


def _is_seen(cell: Any) -> bool:
    if cell.number_format.replace(" ", "") in (";;;", ";;"):
        return False
    font = cell.font
    if font is None or font.color is None or font.color.type not in ("rgb", "theme"):
        return True
    ink = hex_colour(font.color.rgb) if font.color.type == "rgb" else WHITE if font.color.theme == 0 else None
    fill = cell.fill
    if fill is not None and fill.fill_type not in (None, "none"):
        if fill.fill_type != "solid" or fill.fgColor.type != "rgb":
            return True
        paper = hex_colour(fill.fgColor.rgb)
    else:
        paper = WHITE
    return ink is None or paper is None or can_be_seen(ink, paper)


def _told(cell: Any) -> str:
    """Return a cell's value about as its number format shows it."""
    value, form = cell.value, cell.number_format
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "minutes")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, int | float):
        return _number(float(value), form)
    text = str(value)
    return "" if text.startswith("#") and text.rstrip("!?/0A").isupper() and " " not in text else text


def _number(value: float, form: str) -> str:
    if form.endswith("%"):
        return f"{round(value * 100, 6):g}%"
    shown = f"{round(value, 10):.10f}".rstrip("0").rstrip(".") if abs(value) < 1e15 else f"{value:g}"
    currency = next((sign for sign in _CURRENCIES if sign in form), "")
    return f"{shown} {currency}".strip()
