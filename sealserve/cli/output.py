"""Results as JSON values and as tables for the terminal.

Text from tenants is printed without control characters and without markup.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sealserve.display import printable, version_name
from sealserve.records.versions import Lineage

__all__ = ["cell", "console", "pairs", "plain", "printable", "table", "version_name"]

_PIPED_WIDTH = 200
"""Columns when output goes to a file: wide enough for most tables."""


def plain(value: Any) -> Any:
    """Return `value` as JSON values: records become objects, enums their values, times ISO 8601."""
    if isinstance(value, Lineage):
        return plain(value.to_json())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str | int | float | bool | None):
        return value
    return str(value) if isinstance(value, Path) else [plain(item) for item in value]


def console(stream: IO[str]) -> Console:
    """Return a console on `stream` that prints text verbatim: no markup, no emoji codes."""
    width = None if stream.isatty() else _PIPED_WIDTH
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False, soft_wrap=not stream.isatty())


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> Table | Text:
    """Return rows under headings; the text `empty` when there are none."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(cell(value) for value in row))
    return shown if shown.row_count else Text(empty, style="dim")


def pairs(items: Iterable[tuple[str, Any]]) -> Table:
    """Return a table of names and values; names without a value are omitted."""
    shown = Table(box=None, pad_edge=False, show_header=False)
    shown.add_column(style="bold")
    shown.add_column(overflow="fold")
    for name, value in items:
        if value not in (None, "", ()):
            shown.add_row(name, cell(value))
    return shown


def cell(value: Any) -> str:
    """Return one value as text for a terminal."""
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return ", ".join(map(cell, value))
    return printable(str(value.value if isinstance(value, Enum) else value))
