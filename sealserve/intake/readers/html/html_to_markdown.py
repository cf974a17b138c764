"""An HTML element as Markdown: headings, lists, tables by rows, code, quotations; links and emphasis as their words."""

from collections.abc import Iterator, Sequence
from typing import Any

from sealserve.intake.readers.markdown_text import code_block, heading, table

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = frozenset(
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure "
    "footer form header hgroup hr label legend li main menu ol optgroup option p pre search section summary table "
    "tbody td tfoot th thead tr ul".split()
)
_LISTS = frozenset({"ul", "ol", "menu", "dir"})
_STRUCK = frozenset({"del", "s", "strike"})
_MAX_SPAN = 100
_MAX_CELLS = 200_000


def to_markdown(root: Any) -> str:
    """Return the text of an lxml element as Markdown. Empties the tables in it."""
    from lxml import etree

    writer = _Writer()
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        if event == "end":
            writer.leave(element)
            if element is not root:
                writer.add(element.tail or "")
        elif writer.take_whole(element):
            walk.skip_subtree()
        else:
            writer.enter(element)
            writer.add(element.text or "")
    return writer.text()


class _Writer:
    """Collects blocks. Its methods are called in the order of the document."""

    def __init__(self) -> None:
        self._blocks: list[str] = []
        self._words: list[str] = []
        self._lists: list[int | None] = []  # the number of the last item; None: not numbered
        self._marker = ""  # of the list item that has no words yet
        self._quotes = 0
        self._level = 1
        self._term = ""
        self._whole: Any = None  # the element that was taken with all inside it

    def text(self) -> str:
        """Return what was collected."""
        self._end_block()
        return "\n\n".join(self._blocks).replace("\n\n\x00", "\n")

    def add(self, text: str) -> None:
        """Add text of the element that is open."""
        self._words.append(text)

    def take_whole(self, element: Any) -> bool:
        """Write code and tables of data at once; return whether this was one."""
        if element.tag == "pre":
            self._end_block()
            self._put(code_block("".join(element.itertext()).strip("\n"), language=_language(element)))
        elif element.tag == "table" and _is_data(element):
            self._end_block()
            rows = list(_rows(element))
            caption = element.find("caption")
            if caption is not None:
                self._put(" ".join("".join(caption.itertext()).split()))
            self._put(table(rows))
        else:
            return False
        self._whole = element
        return True

    def enter(self, element: Any) -> None:
        """Begin an element."""
        tag = element.tag
        if tag == "br":
            self._words.append("\n")
        elif tag in _STRUCK:
            self._words.append("~~")
        elif tag == "rt":
            self._words.append("(")
        elif tag in _BLOCKS or tag in _HEADINGS:
            self._end_block()
        if tag in _LISTS:
            self._lists.append(_start(element) if tag == "ol" else None)
        elif tag == "li":
            self._begin_item()
        elif tag == "blockquote":
            self._quotes += 1

    def leave(self, element: Any) -> None:
        """End an element."""
        tag = element.tag
        if element is self._whole:
            self._whole = None
            return
        if tag in _STRUCK:
            self._words.append("~~")
        elif tag == "rt":
            self._words.append(")")
        elif tag in _HEADINGS or tag == "summary" or element.get("role") == "heading":
            self._end_heading(_HEADINGS.get(tag, min(self._level + 1, 6)), is_level=tag in _HEADINGS)
        elif tag == "dt":
            self._term = self._taken()
        elif tag in _BLOCKS:
            self._end_block()
        if tag in _LISTS and self._lists:
            self._lists.pop()
        elif tag == "blockquote":
            self._quotes -= 1
        elif tag == "dl":
            self._end_block(also_term=True)

    def _begin_item(self) -> None:
        if self._lists and self._lists[-1] is not None:
            self._lists[-1] += 1
            self._marker = f"{self._lists[-1]}. "
        else:
            self._marker = "- "

    def _end_heading(self, level: int, *, is_level: bool) -> None:
        words = " ".join(self._taken().split())
        if words:
            self._level = level if is_level else self._level
            self._put(words if self._lists or self._quotes else heading(level, words))

    def _end_block(self, *, also_term: bool = False) -> None:
        words = self._taken()
        if self._term and (words or also_term):
            words, self._term = f"{self._term}: {words}".rstrip(": ") if words else self._term, ""
        if words:
            self._put(words)

    def _taken(self) -> str:
        """Return the words since the last block, one line for each that the page breaks."""
        lines = (" ".join(line.split()) for line in _unwrapped(self._words))
        self._words = []
        return "\n".join(line for line in lines if line.replace("~", ""))

    def _put(self, block: str) -> None:
        if not block:
            return
        depth = len(self._lists)
        if depth:
            indent = "  " * (depth - 1)
            marker, self._marker = self._marker or "  ", ""
            block = f"\n{indent}  ".join(block.split("\n"))
            block = ("\x00" if self._blocks and marker != "  " else "") + indent + marker + block
        if self._quotes:
            block = "\n".join(f"> {line}" for line in block.split("\n"))
        is_first_item = block.startswith("\x00") and not _is_item(self._blocks[-1])
        self._blocks.append(block[1:] if is_first_item else block)


def _unwrapped(words: Sequence[str]) -> list[str]:
    """Return the lines that br elements make: line ends of the source are spaces."""
    return "".join(word if word == "\n" else word.replace("\n", " ") for word in words).split("\n")


def _is_item(block: str) -> bool:
    bare = block.lstrip("\x00 ")
    return bare.startswith("- ") or bare.split(". ", 1)[0].isdigit()


def _start(element: Any) -> int:
    start = element.get("start") or "1"
    return int(start) - 1 if start.isascii() and start.isdigit() and len(start) < 9 else 0


def _language(element: Any) -> str:
    """Return the language that usual class names give a block of code."""
    for node in (element, *element.iter("code")):
        for name in (node.get("class") or "").split():
            kind, _, language = name.partition("-")
            if kind in ("language", "lang", "highlight") and language.isalnum() and len(language) <= 20:
                return str(language)
    return ""


def _is_data(element: Any) -> bool:
    """Whether a table holds data and not the layout of a page: no table or heading inside, and more than one column."""
    if element.get("role") in ("presentation", "none"):
        return False
    if next(element.iterdescendants("table", *_HEADINGS, "pre", "article", "main"), None) is not None:
        return False
    return any(len(row.findall("td")) + len(row.findall("th")) > 1 for row in element.iter("tr"))


def _rows(element: Any) -> Iterator[list[str]]:
    """Yield the table's rows; a merged cell's words stand in each cell that it covers."""
    covered: dict[int, tuple[int, str]] = {}  # column: rows still to cover, and the words
    cells = 0
    for row in element.iter("tr"):
        words: list[str] = []
        for cell in row.iterchildren("td", "th"):
            _fill(words, covered)
            text = _cell_text(cell)
            down = _span(cell, "rowspan")
            for _ in range(_span(cell, "colspan")):
                if down > 1:
                    covered[len(words)] = (down - 1, text)
                words.append(text)
        _fill(words, covered)
        cells += len(words)
        if cells > _MAX_CELLS:
            return
        if any(words):
            yield words


def _fill(words: list[str], covered: dict[int, tuple[int, str]]) -> None:
    """Put in the cells that reach down from rows above."""
    while len(words) in covered:
        left, text = covered.pop(len(words))
        if left > 1:
            covered[len(words)] = (left - 1, text)
        words.append(text)


def _span(cell: Any, name: str) -> int:
    value = cell.get(name) or "1"
    return min(max(int(value), 1), _MAX_SPAN) if value.isascii() and value.isdigit() and len(value) < 6 else 1


def _cell_text(cell: Any) -> str:
    """Return a cell's words on one line; paragraphs and items in it are parted by semicolons."""
    parts = [""]
    for node in cell.iter("*"):
        if node is not cell and (node.tag in _BLOCKS or node.tag == "br") and parts[-1].strip():
            parts.append("")
        parts[-1] += node.text or ""
        if node is not cell:
            parts[-1] += node.tail or ""
    whole = [" ".join(part.split()) for part in parts]
    return "; ".join(part for part in whole if part)
