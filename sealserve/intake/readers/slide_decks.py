"""Slides: each under its title, with its lists, tables and diagrams, as the audience sees them.

Left out and counted: hidden slides and shapes, what stands off the slide, letters in the colour of the slide or too
small to see, comments, and the speaker's notes, which the audience does not see.
"""

import io
from collections.abc import Iterator
from typing import Any

from sealserve.intake.media_types import Defect, Parsed, Unreadable
from sealserve.intake.readers.colours import WHITE, Rgb, can_be_seen, hex_colour
from sealserve.intake.readers.markdown_text import heading, paragraphs, table
from sealserve.intake.readers.zip_packages import PackageErrors, open_package

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_MACROS = "application/vnd.ms-powerpoint.presentation.macroEnabled.main+xml"
_BROKEN = Unreadable(defect=Defect.BROKEN, advice="the slides are damaged or unusual; save them anew as pptx")
_TOO_MANY = Unreadable(defect=Defect.TOO_COSTLY, advice="it has more slides than can be read; split it")
MAX_SLIDES = 2000
_MAX_DEPTH, _MAX_UNDER = 20, 300
_MIN_CENTIPOINTS = 300
_RUNNING = frozenset({"DATE", "FOOTER", "SLIDE_NUMBER", "HEADER"})
_SCHEME = {"bg1": "lt1", "tx1": "dk1", "bg2": "lt2", "tx2": "dk2"}


def read_slides(content: bytes) -> Parsed | Unreadable:
    """Return title and text of a slide deck."""
    import pptx
    from pptx.exc import PythonPptxError
    from pptx.opc.package import PartFactory
    from pptx.parts.presentation import PresentationPart

    package = open_package(content)
    if isinstance(package, Unreadable):
        return package
    PartFactory.part_type_for[_MACROS] = PresentationPart
    try:
        deck: Any = pptx.Presentation(io.BytesIO(content))
        if len(deck.slides._sldIdLst) > MAX_SLIDES:
            return _TOO_MANY
        reader = _Deck(deck)
        blocks = [block for slide in deck.slides for block in reader.slide(slide)]
        title = " ".join((deck.core_properties.title or "").split())
    except (PythonPptxError, KeyError, AttributeError, IndexError, TypeError, SyntaxError, *PackageErrors):
        return _BROKEN
    if not blocks:
        return Unreadable(defect=Defect.NO_TEXT, advice="the slides hold no text; pictures need text recognition")
    is_of_program = title.lower().startswith(("powerpoint presentation", "presentation", "slide 1"))
    named = reader.first_title if is_of_program or not title else title
    return Parsed(title=named, text=paragraphs(blocks), hidden=reader.hidden)


class _Deck:
    """The slides on their way to Markdown."""

    def __init__(self, deck: Any) -> None:
        self.hidden = 0
        self.first_title = ""
        self._width, self._height = deck.slide_width or 0, deck.slide_height or 0

    def slide(self, slide: Any) -> Iterator[str]:
        """Yield the blocks of a slide that is shown."""
        self.hidden += slide.has_notes_slide and bool((_notes(slide) or "").strip())
        self.hidden += _comments(slide)
        if slide._element.get("show") in ("0", "false"):
            self.hidden += any((one.text or "").strip() for one in slide._element.iter(f"{_A}t"))
            return
        paper = _slide_paper(slide)
        title = slide.shapes.title
        named = ""
        if title is not None and title.has_text_frame:
            named = " ".join(self._lines(title, paper).split())
            self.first_title = self.first_title or named
        if named:
            yield heading(2, named)
        shapes = [one for one in slide.shapes if title is None or one.shape_id != title.shape_id]
        yield from self._shapes(sorted(shapes, key=_place), shapes, paper, depth=0)

    def _shapes(self, shapes: Any, all_shapes: list[Any], paper: Rgb | None, *, depth: int) -> Iterator[str]:
        for shape in shapes:
            if _placeholder(shape) in _RUNNING:
                continue
            if _is_hidden(shape) or (depth == 0 and self._is_off_the_slide(shape)):
                self.hidden += any((one.text or "").strip() for one in shape._element.iter(f"{_A}t"))
            elif hasattr(shape, "shapes") and depth < _MAX_DEPTH:
                inner = list(shape.shapes)
                yield from self._shapes(inner, [*all_shapes, *inner], None, depth=depth + 1)
            elif getattr(shape, "has_table", False):
                yield table(list(_rows(shape.table)))
            elif shape.has_text_frame:
                yield self._lines(shape, _paper_of(shape, all_shapes, paper))
            else:
                yield _diagram(shape)

    def _lines(self, shape: Any, paper: Rgb | None) -> str:
        """Return the paragraphs of a shape: those of lists with their marks."""
        lines = []
        kind = _placeholder(shape)
        for paragraph in shape.text_frame.paragraphs:
            words = "".join(self._runs(paragraph._p, paper)).strip()
            properties = paragraph._p.find(f"{_A}pPr")
            marks = {child.tag for child in properties} if properties is not None else set()
            is_item = bool({f"{_A}buChar", f"{_A}buAutoNum"} & marks) or paragraph.level > 0
            is_item = (is_item or kind in ("BODY", "OBJECT", "VERTICAL_BODY")) and f"{_A}buNone" not in marks
            lines.append("  " * paragraph.level + "- " + words if is_item and words else words)
        return "\n".join(line for line in lines if line)

    def _runs(self, paragraph: Any, paper: Rgb | None) -> Iterator[str]:
        hid_words = False
        for node in paragraph:
            if node.tag == f"{_A}br":
                yield " "
            elif node.tag in (f"{_A}r", f"{_A}fld"):
                words = "".join(one.text or "" for one in node.iter(f"{_A}t"))
                if _is_shown(node.find(f"{_A}rPr"), paper):
                    yield words
                else:
                    hid_words = hid_words or bool(words.strip())
        self.hidden += hid_words

    def _is_off_the_slide(self, shape: Any) -> bool:
        if None in (shape.left, shape.top, shape.width, shape.height) or not self._width:
            return False
        is_left, is_above = shape.left + shape.width <= 0, shape.top + shape.height <= 0
        return bool(is_left or is_above or shape.left >= self._width or shape.top >= self._height)


def _placeholder(shape: Any) -> str:
    """Return the kind of placeholder that a shape is; "" for none."""
    kind = shape.placeholder_format.type if shape.is_placeholder else None
    return kind.name if kind is not None else ""


def _notes(slide: Any) -> str:
    frame = slide.notes_slide.notes_text_frame
    return frame.text if frame is not None else ""


def _comments(slide: Any) -> int:
    """Return how many comments lie on the slide, in either form of comment parts."""
    parts = [one for one in slide.part.rels.values() if one.reltype.endswith("/comments") and not one.is_external]
    return sum(one.target_part.blob.count(b":txBody>") // 2 + one.target_part.blob.count(b"<p:text>") for one in parts)


def _is_hidden(shape: Any) -> bool:
    named = next(shape._element.iter(f"{_P}cNvPr"), None)
    return named is not None and named.get("hidden") in ("1", "true")


def _place(shape: Any) -> tuple[int, int]:
    """Return where a shape stands, by which people read: rows of about a centimetre, from the left."""
    return (shape.top or 0) // 360_000, shape.left or 0


def _rows(grid: Any) -> Iterator[list[str]]:
    """Yield the rows of a table; a merged cell's words stand in each that it covers."""
    words = [[" ".join(cell.text_frame.text.split()) for cell in row.cells] for row in grid.rows]
    for top, row in enumerate(grid.rows):
        for left, cell in enumerate(row.cells):
            if cell.is_merge_origin:
                for down in range(top, min(top + cell.span_height, len(words))):
                    for right in range(left, min(left + cell.span_width, len(words[down]))):
                        words[down][right] = words[top][left]
    yield from words


def _diagram(shape: Any) -> str:
    """Return the words of a SmartArt diagram as a list; "" for other graphics."""
    from lxml import etree

    found = next(shape._element.iter("{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"), None)
    if found is None:
        return ""
    name = found.get("{http://schemas.openxmlformats.org/officeDocument/2006/relationships}dm") or ""
    data = etree.fromstring(
        shape.part.related_part(name).blob, etree.XMLParser(resolve_entities=False, no_network=True)
    )
    lines = ("".join(one.text or "" for one in line.iter(f"{_A}t")).strip() for line in data.iter(f"{_A}p"))
    return "\n".join(f"- {line}" for line in lines if line)


def _is_shown(properties: Any, paper: Rgb | None) -> bool:
    """Whether letters of these run properties can be seen on `paper`; None: what is behind them is not known."""
    if properties is None:
        return True
    size = properties.get("sz") or ""
    if size.isdigit() and int(size[:6]) < _MIN_CENTIPOINTS:
        return False
    if properties.find(f"{_A}noFill") is not None:
        return properties.find(f"{_A}ln") is not None
    colour = properties.find(f"{_A}solidFill/{_A}srgbClr")
    if colour is None:
        return True
    alpha = colour.find(f"{_A}alpha")
    if alpha is not None and (alpha.get("val") or "").isdigit() and int(alpha.get("val")[:7]) < 5000:
        return False
    ink = hex_colour(colour.get("val"))
    return ink is None or paper is None or can_be_seen(ink, paper)


def _paper_of(shape: Any, shapes: list[Any], paper: Rgb | None) -> Rgb | None:
    """Return what is behind a shape's letters: its own fill, else the slide, unless another shape lies under it."""
    own = shape._element.find(f"{_P}spPr")
    if own is not None:
        filled = own.find(f"{_A}solidFill/{_A}srgbClr")
        if filled is not None:
            return hex_colour(filled.get("val"))
        if any(own.find(f"{_A}{kind}") is not None for kind in ("solidFill", "gradFill", "blipFill", "pattFill")):
            return None
    if shape._element.find(f"{_P}style") is not None:
        return None  # a fill of the theme
    is_over_another = any(_lies_under(other, shape) for other in shapes[:_MAX_UNDER] if other is not shape)
    return None if is_over_another else paper


def _lies_under(other: Any, shape: Any) -> bool:
    """Whether a picture or a filled shape reaches to where `shape` is."""
    own = other._element.find(f"{_P}spPr")
    is_filled = own is not None and any("Fill" in str(child.tag) and "noFill" not in str(child.tag) for child in own)
    if not (is_filled or other.shape_type is None or other.shape_type.name in ("PICTURE", "GROUP", "PLACEHOLDER")):
        return False
    if other.is_placeholder and not hasattr(other, "image"):
        return False
    if None in (other.left, other.top, other.width, other.height, shape.left, shape.top, shape.width, shape.height):
        return True
    is_beside = other.left >= shape.left + shape.width or shape.left >= other.left + other.width
    return not (is_beside or other.top >= shape.top + shape.height or shape.top >= other.top + other.height)


def _slide_paper(slide: Any) -> Rgb | None:
    """Return the colour of the slide, its layout or its master, whichever says one; None for a picture or gradient."""
    layout = slide.slide_layout
    for one in (slide, layout, layout.slide_master):
        background = one._element.find(f"{_P}cSld/{_P}bg")
        if background is None:
            continue
        colour = next(background.iter(f"{_A}srgbClr", f"{_A}schemeClr"), None)
        if colour is None or next(background.iter(f"{_A}gradFill", f"{_A}blipFill"), None) is not None:
            return None
        if colour.tag == f"{_A}srgbClr":
            return hex_colour(colour.get("val"))
        return _theme_colour(layout.slide_master, colour.get("val") or "")
    return WHITE


def _theme_colour(master: Any, name: str) -> Rgb | None:
    from lxml import etree

    mapping = master._element.find(f"{_P}clrMap")
    named = (mapping.get(name) if mapping is not None else None) or _SCHEME.get(name, name)
    theme = next((one for one in master.part.rels.values() if one.reltype.endswith("/theme")), None)
    if theme is None:
        return WHITE
    root = etree.fromstring(theme.target_part.blob, etree.XMLParser(resolve_entities=False, no_network=True))
    colour = next(root.iter(f"{_A}{named}"), None)
    inner = next(iter(colour), None) if colour is not None else None
    return hex_colour(inner.get("lastClr") or inner.get("val")) if inner is not None else None
