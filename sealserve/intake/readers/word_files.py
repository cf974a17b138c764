"""Word files: headings, lists, tables, code and footnotes as Markdown, as the accepted document shows them.

Left out and counted: tracked deletions, comments, hidden text and rows, letters in the colour of the paper or too small
to see. Left out: running heads, tables of contents, embedded objects and macros.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sealserve.intake.media_types import Defect, Parsed, Unreadable
from sealserve.intake.readers.colours import BLACK, WHITE, Rgb, can_be_seen, hex_colour
from sealserve.intake.readers.markdown_text import code_block, heading, paragraphs, table
from sealserve.intake.readers.zip_packages import PackageErrors, open_package

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_MACROS = "application/vnd.ms-word.document.macroEnabled.main+xml"
_BROKEN = Unreadable(defect=Defect.BROKEN, advice="the Word file is damaged or unusual; save it anew as docx")

_GONE = frozenset({f"{_W}{name}" for name in ("del", "moveFrom")})
_SKIPPED = frozenset(
    {
        f"{_W}{name}"
        for name in ("pPr", "rPr", "object", "instrText", "delInstrText", "fldData", "rt", "sdtPr", "sdtEndPr")
    }
    | {f"{_MC}Fallback", f"{_W}txbxContent"}
)
_BREAKS = {f"{_W}tab": " ", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
_WRAPPERS = frozenset({f"{_W}{name}" for name in ("sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag")})
_MIN_HALF_POINTS = 6
_MAX_LEVEL = 6
_MAX_BASES = 12
_MAX_SPAN = 60
_HIGHLIGHTS = {
    "black": "000000", "blue": "0000FF", "cyan": "00FFFF", "darkBlue": "000080", "darkCyan": "008080",
    "darkGray": "808080", "darkGreen": "006400", "darkMagenta": "800080", "darkRed": "800000", "darkYellow": "808000",
    "green": "00FF00", "lightGray": "D3D3D3", "magenta": "FF00FF", "red": "FF0000", "white": "FFFFFF",
    "yellow": "FFFF00",
}  # fmt: skip
_THEME_INKS = {"background1": WHITE, "bg1": WHITE, "light1": WHITE, "text1": BLACK, "dark1": BLACK, "tx1": BLACK}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Style:
    """What a paragraph or character style says, with those that it is based on; None where nothing is said."""

    name: str = ""
    level: int | None = None  # of a heading, from 1
    is_hidden: bool | None = None
    ink: Rgb | None = None
    paper: Rgb | None = None
    half_points: float | None = None
    list_number: tuple[str, str] | None = None


def read_word(content: bytes) -> Parsed | Unreadable:
    """Return title and text of a Word file."""
    from docx.opc.exceptions import OpcError
    from docx.opc.part import PartFactory
    from docx.package import Package
    from docx.parts.document import DocumentPart

    package = open_package(content)
    if isinstance(package, Unreadable):
        return package
    PartFactory.part_type_for[_MACROS] = DocumentPart
    try:
        part: Any = Package.open(io.BytesIO(content)).main_document_part
        found = _Document(part)
        text = found.text()
        title = found.title or _core_title(part)
    except (OpcError, KeyError, AttributeError, IndexError, TypeError, SyntaxError, *PackageErrors):
        return _BROKEN
    if not text.strip():
        return Unreadable(defect=Defect.NO_TEXT, advice="the Word file holds no text; pictures need text recognition")
    return Parsed(title=title or found.first_heading, text=text, hidden=found.hidden)


def _core_title(part: Any) -> str:
    title = " ".join((part.package.core_properties.title or "").split())
    is_of_program = title.lower().startswith(("microsoft word", "word document", "untitled", "document"))
    return "" if is_of_program else title


class _Document:
    """The document's body on its way to Markdown."""

    def __init__(self, part: Any) -> None:
        self.hidden = 0
        self.title = ""
        self.first_heading = ""
        self._part = part
        self._raw = ""
        self._notes: list[str] = []
        self._counts: dict[tuple[str, int], int] = {}
        self._styles = _styles(part)
        self._formats = _number_formats(part)
        page = part.element.find(f"{_W}background")
        self._page = (hex_colour(page.get(f"{_W}color")) if page is not None else None) or WHITE

    def text(self) -> str:
        """Return the whole text; `hidden`, `title` and `first_heading` are known after it."""
        body = self._part.element.find(f"{_W}body")
        blocks = _joined(list(self._blocks(body if body is not None else [], self._page)))
        self.hidden += _count_of(self._part, "comments", "comment")
        footnotes = {one.get(f"{_W}id"): one for one in _related(self._part, "footnotes")} if self._notes else {}
        for number in dict.fromkeys(self._notes):
            note = footnotes.get(number)
            if note is not None:
                blocks.append(" ".join(words for _, words in self._blocks(note, self._page)).strip())
        return paragraphs(blocks)

    def _blocks(self, parent: Any, paper: Rgb | None) -> Iterator[tuple[str, str]]:
        """Yield each block as its kind ("code", "item" or "") and its Markdown."""
        for node in parent:
            if node.tag == f"{_W}p":
                yield from self._paragraph(node, paper)
            elif node.tag == f"{_W}tbl":
                yield from self._table(node, paper)
            elif node.tag in _WRAPPERS:
                yield from self._blocks(node, paper)
            elif node.tag in _GONE:
                self.hidden += _has_words(node)

    def _paragraph(self, node: Any, paper: Rgb | None) -> Iterator[tuple[str, str]]:
        style = self._style_of(node)
        words = "\n".join(" ".join(line.split()) for line in self._words(node, style, paper).split("\n")).strip("\n")
        name = style.name.lower()
        if words and not name.startswith(("toc ", "table of figures")):
            yield self._told(node, style, words, raw=self._raw)
        for box in node.iter(f"{_W}txbxContent"):
            if not any(above.tag == f"{_MC}Fallback" for above in box.iterancestors()):
                yield from self._blocks(box, None)

    def _told(self, node: Any, style: _Style, words: str, *, raw: str) -> tuple[str, str]:
        name = style.name.lower()
        level = 1 if name == "title" else _outline(node) or style.level
        if level is not None and len(words) < 400:
            line = " ".join(words.split())
            self.title = self.title or (line if name == "title" else "")
            self.first_heading = self.first_heading or line
            return "", heading(min(level, _MAX_LEVEL), line)
        if "code" in name.split() or "source code" in name or "preformatted" in name:
            return "code", raw
        number = _list_number(node) or style.list_number
        if number is not None and number[0] != "0":
            return "item", self._item(number, words)
        return "", words

    def _item(self, number: tuple[str, str], words: str) -> str:
        level = int(number[1]) if number[1].isdigit() and len(number[1]) < 3 else 0
        key = (number[0], level)
        self._counts = {one: count for one, count in self._counts.items() if one[0] != number[0] or one[1] <= level}
        self._counts[key] = self._counts.get(key, 0) + 1
        is_bullet = self._formats.get(key, "bullet") in ("bullet", "none")
        marker = "- " if is_bullet else f"{self._counts[key]}. "
        indent = "  " * min(level, _MAX_LEVEL)
        return indent + marker + words.replace("\n", f"\n{indent}  ")

    def _words(self, node: Any, style: _Style, paper: Rgb | None) -> str:
        """Return what is shown of a paragraph; counts what is not."""
        parts: list[str] = []
        shading = _shading(node.find(f"{_W}pPr"))
        behind = shading or style.paper or paper
        waiting: list[tuple[Any, bool]] = [(child, True) for child in reversed(node)]
        hid_words = False
        while waiting:
            one, is_shown = waiting.pop()
            if one.tag in _GONE:
                hid_words = hid_words or _has_words(one)
            elif one.tag == f"{_W}footnoteReference":
                self._notes.append(one.get(f"{_W}id") or "")
            elif one.tag in (f"{_W}t", f"{_MATH}t"):
                hid_words = hid_words or (not is_shown and bool((one.text or "").strip()))
                parts.append((one.text or "") if is_shown else "")
            elif one.tag in _BREAKS:
                parts.append(_BREAKS[one.tag])
            elif one.tag not in _SKIPPED:
                shows = is_shown and (one.tag != f"{_W}r" or self._is_shown(one, style, behind))
                waiting += [(child, shows) for child in reversed(one)]
        self.hidden += hid_words
        self._raw = "".join(parts)
        return self._raw

    def _is_shown(self, run: Any, outer: _Style, behind: Rgb | None) -> bool:
        own = run.find(f"{_W}rPr")
        if own is None:
            said: tuple[_Style, ...] = (outer,)
        else:
            named = own.find(f"{_W}rStyle")
            styled = self._styles.get(named.get(f"{_W}val") if named is not None else "", _Style())
            said = (_run_style(own), styled, outer)
        if next((one.is_hidden for one in said if one.is_hidden is not None), False):
            return False
        if next((one.half_points for one in said if one.half_points is not None), 20) < _MIN_HALF_POINTS:
            return False
        ink = next((one.ink for one in said if one.ink is not None), None)
        paper = next((one.paper for one in said[:-1] if one.paper is not None), behind)
        return ink is None or paper is None or can_be_seen(ink, paper)

    def _table(self, node: Any, paper: Rgb | None) -> Iterator[tuple[str, str]]:
        named = node.find(f"{_W}tblPr/{_W}tblStyle")
        is_plain = named is None or (named.get(f"{_W}val") or "").lower() in ("tablegrid", "tablenormal")
        rows: list[list[str]] = []
        for row in node.iter(f"{_W}tr"):
            if next(row.iterancestors(f"{_W}tbl")) is not node:
                continue  # of a table inside a cell
            properties = row.find(f"{_W}trPr")
            if properties is not None and (_is_on(properties, "hidden") or properties.find(f"{_W}del") is not None):
                self.hidden += _has_words(row)
                continue
            rows.append(self._cells(row, rows[-1] if rows else [], paper if is_plain else None))
        if all(len(row) == 1 for row in rows):
            yield from (("", row[0].replace("; ", "\n\n")) for row in rows)
        else:
            yield "", table(rows)

    def _cells(self, row: Any, above: list[str], paper: Rgb | None) -> list[str]:
        """Return the words of a row's cells; a merged cell's stand in each that it covers."""
        cells: list[str] = []
        for cell in row.iter(f"{_W}tc"):
            if next(cell.iterancestors(f"{_W}tr")) is not row:
                continue
            properties = cell.find(f"{_W}tcPr")
            behind = _shading(properties) or paper
            merged = properties.find(f"{_W}vMerge") if properties is not None else None
            span = _span(properties)
            if merged is not None and merged.get(f"{_W}val") != "restart" and len(above) > len(cells):
                words = above[len(cells)]
            else:
                words = "; ".join(" ".join(one.split()) for _, one in self._blocks(cell, behind) if one.strip())
            cells += [words] * span
        return cells

    def _style_of(self, node: Any) -> _Style:
        named = node.find(f"{_W}pPr/{_W}pStyle")
        return self._styles.get(named.get(f"{_W}val") if named is not None else "", _Style())


def _joined(blocks: list[tuple[str, str]]) -> list[str]:
    """Return the blocks as Markdown: lines of code in one fence, items of a list without blank lines between them."""
    found: list[str] = []
    before = ""
    for kind, words in blocks:
        if kind and kind == before:
            found[-1] += f"\n{words}"
        else:
            if before == "code":
                found[-1] = code_block(found[-1])
            found.append(words)
        before = kind
    if before == "code":
        found[-1] = code_block(found[-1])
    return found


def _styles(part: Any) -> dict[str, _Style]:
    """Return every style by its id, with what it takes from those that it is based on."""
    raw = {one.get(f"{_W}styleId") or "": one for one in _related(part, "styles") if one.tag == f"{_W}style"}
    found: dict[str, _Style] = {}
    for name in raw:
        chain: list[Any] = []
        at: str | None = name
        while at in raw and len(chain) < _MAX_BASES:
            chain.append(raw[at])
            base = raw[at].find(f"{_W}basedOn")
            at = base.get(f"{_W}val") if base is not None else None
        found[name] = _merged([_one_style(one) for one in chain])
    return found


def _merged(chain: list[_Style]) -> _Style:
    def first(field: str) -> Any:
        return next((getattr(one, field) for one in chain if getattr(one, field) not in (None, "")), None)

    return _Style(
        name=chain[0].name,
        level=first("level"),
        is_hidden=first("is_hidden"),
        ink=first("ink"),
        paper=first("paper"),
        half_points=first("half_points"),
        list_number=first("list_number"),
    )


def _one_style(node: Any) -> _Style:
    named = node.find(f"{_W}name")
    name = (named.get(f"{_W}val") if named is not None else None) or ""
    level = (
        int(name[8:])
        if name.lower().startswith("heading ") and name[8:].isdigit() and len(name) == 9
        else _outline(node)
    )
    own = _run_style(node.find(f"{_W}rPr"))
    return _Style(
        name=name,
        level=level,
        is_hidden=own.is_hidden,
        ink=own.ink,
        paper=own.paper or _shading(node.find(f"{_W}pPr")),
        half_points=own.half_points,
        list_number=_list_number(node),
    )


def _run_style(properties: Any) -> _Style:
    if properties is None:
        return _Style()
    hidden = properties.find(f"{_W}vanish")
    size = properties.find(f"{_W}sz")
    number = (size.get(f"{_W}val") or "") if size is not None else ""
    highlight = properties.find(f"{_W}highlight")
    marked = hex_colour(_HIGHLIGHTS.get(highlight.get(f"{_W}val") or "")) if highlight is not None else None
    return _Style(
        is_hidden=_is_on(properties, "vanish") if hidden is not None else None,
        ink=_ink(properties.find(f"{_W}color")),
        paper=marked or _shading(properties),
        half_points=float(number) if number.isdigit() and len(number) < 6 else None,
    )


def _ink(node: Any) -> Rgb | None:
    if node is None:
        return None
    return hex_colour(node.get(f"{_W}val")) or _THEME_INKS.get(node.get(f"{_W}themeColor") or "")


def _shading(properties: Any) -> Rgb | None:
    shading = properties.find(f"{_W}shd") if properties is not None else None
    return hex_colour(shading.get(f"{_W}fill")) if shading is not None else None


def _is_on(properties: Any, name: str) -> bool:
    node = properties.find(f"{_W}{name}")
    return node is not None and (node.get(f"{_W}val") or "1").lower() not in ("0", "false", "off")


def _outline(node: Any) -> int | None:
    outline = node.find(f"{_W}pPr/{_W}outlineLvl")
    value = (outline.get(f"{_W}val") or "") if outline is not None else ""
    return int(value) + 1 if value in tuple("012345678") and value else None


def _list_number(node: Any) -> tuple[str, str] | None:
    """Return the id of the list and the level of an item, as the file has them."""
    number = node.find(f"{_W}pPr/{_W}numPr/{_W}numId")
    level = node.find(f"{_W}pPr/{_W}numPr/{_W}ilvl")
    if number is None:
        return None
    return number.get(f"{_W}val") or "0", (level.get(f"{_W}val") or "0") if level is not None else "0"


def _number_formats(part: Any) -> Mapping[tuple[str, int], str]:
    """Return the number format of each list and level."""
    nodes = list(_related(part, "numbering"))
    abstract = {one.get(f"{_W}abstractNumId"): one for one in nodes if one.tag == f"{_W}abstractNum"}
    found: dict[tuple[str, int], str] = {}
    for one in nodes:
        link = one.find(f"{_W}abstractNumId") if one.tag == f"{_W}num" else None
        for level in abstract.get(link.get(f"{_W}val"), ()) if link is not None else ():
            number, form = level.get(f"{_W}ilvl") or "", level.find(f"{_W}numFmt")
            if form is not None and number.isdigit() and len(number) < 3:
                found[one.get(f"{_W}numId") or "", int(number)] = form.get(f"{_W}val") or ""
    return found


def _span(properties: Any) -> int:
    span = properties.find(f"{_W}gridSpan") if properties is not None else None
    value = (span.get(f"{_W}val") or "") if span is not None else ""
    return min(max(int(value), 1), _MAX_SPAN) if value.isdigit() and len(value) < 5 else 1


def _related(part: Any, kind: str) -> Any:
    """Return the root of the part that holds styles, numbering, footnotes or comments; an empty list for none."""
    from lxml import etree

    for relation in part.rels.values():
        if relation.reltype.endswith(f"/{kind}") and not relation.is_external:
            parser = etree.XMLParser(resolve_entities=False, no_network=True)
            return etree.fromstring(relation.target_part.blob, parser)
    return []


def _count_of(part: Any, kind: str, name: str) -> int:
    return sum(_has_words(one) for one in _related(part, kind) if one.tag == f"{_W}{name}")


def _has_words(node: Any) -> bool:
    return any((one.text or "").strip() for one in node.iter(f"{_W}t", f"{_W}delText"))
