"""Pieces of Markdown that the readers write: headings, tables and code, as passages are cut and studied by."""

from collections.abc import Sequence

MAX_LEVEL = 6
_FENCE = "```"


def heading(level: int, words: str) -> str:
    """Return a heading; `words` on one line."""
    return f"{'#' * min(max(level, 1), MAX_LEVEL)} {' '.join(words.split())}"


def code_block(code: str, *, language: str = "") -> str:
    """Return fenced code; "" for none."""
    if not code.strip():
        return ""
    fence = _FENCE
    while fence in code:
        fence += "`"
    return f"{fence}{language}\n{code}\n{fence}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first row is its head (GitHub Flavored Markdown, 4.10); rows shorter than the widest are
    filled up. One column becomes a list.
    """
    filled = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows if any(map(str.strip, row))]
    if not filled:
        return ""
    width = max(map(len, filled))
    if width == 1:
        return "\n".join(f"- {row[0]}" for row in filled)
    first, *others = [row + [""] * (width - len(row)) for row in filled]
    lines = [f"| {' | '.join(row)} |" for row in (first, ["---"] * width, *others)]
    return "\n".join(lines)


def paragraphs(blocks: Sequence[str]) -> str:
    """Return blocks, empty ones left out, with a blank line between them."""
    return "\n\n".join(block for block in (one.strip("\n") for one in blocks) if block.strip())
