"""The rows of a text: lines of tables, records of "heading: value" lines, and short lines of data.

A row is not a sentence: its cells are the news, and a cell that stands in another row as well is none the less new in
this one.
"""

import re
from collections import Counter
from collections.abc import Sequence

from sealserve.writing_systems import count_words

MIN_ROWS = 3
MAX_WORDS = 16
"""Words of a line that is data by its shape alone: a name and its values."""

_BLOCK_END = re.compile(r"\n\s*\n")
_RULE = re.compile(r"[\s|:+=-]+")
_MARKER = re.compile(r"^\s*(?:[-*+•·]|\d{1,3}[.)])\s+")
_FIELD = re.compile(r"([^:：|\n]{1,40})[:：]\s+\S")
_SENTENCE_END = re.compile(r"[.!?؟।。！？]$")
_CELLS = re.compile(r"\s\|\s|\t| {3,}|\.{4,}|…")
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
_NUMBER = re.compile(r"\d")


def split_rows(text: str) -> tuple[list[str], str]:
    """Return the rows of `text`, and the rest of it; no rows where there are fewer than MIN_ROWS."""
    blocks = [block.split("\n") for block in _BLOCK_END.split(text)]
    first_fields = Counter(_field(block[0]) for block in blocks if _is_record(block))
    rows: list[str] = []
    rest: list[str] = []
    for block in blocks:
        if _is_record(block) and first_fields[_field(block[0])] >= MIN_ROWS:
            rows.append(" ".join(block))
            continue
        lines = [line for line in block if _LETTER_OR_DIGIT.search(line) or not _RULE.fullmatch(line)]
        rows += [line for line in lines if is_row(line)]
        rest.append("\n".join(line for line in lines if not is_row(line)))
    return (rows, "\n\n".join(rest)) if len(rows) >= MIN_ROWS else ([], text)


def is_row(line: str) -> bool:
    """Whether a line is data by its shape: several cells, or a short one with a number or a field and no full stop."""
    bare = _MARKER.sub("", line).strip()
    if not bare or bare.startswith("#"):
        return False
    if bare.startswith("|") or _CELLS.search(bare):
        return True
    is_short = count_words(bare) <= MAX_WORDS and not _SENTENCE_END.search(bare)
    return is_short and (_FIELD.match(bare) is not None or _NUMBER.search(bare) is not None)


def _is_record(block: Sequence[str]) -> bool:
    return len(block) > 1 and all(_FIELD.match(line) for line in block)


def _field(line: str) -> str:
    found = _FIELD.match(line)
    return found[1].strip().casefold() if found else ""
