"""What a reader of an HTML page sees, as far as it can be known without a browser, and what is hidden from them.

Colours, sizes and visibility are inherited and may be set again inside; what takes an element off the page takes all
inside with it. What opens by a click (tabs, accordions, expanders) is part of the page.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from sealserve.intake.readers.colours import can_be_seen
from sealserve.intake.readers.html.computed_styles import (
    Style,
    length_of,
    lengths_of,
    number_of,
    over,
    papers_of,
    style_of,
    values_of,
    word_of,
)
from sealserve.intake.readers.html.style_sheets import SCREEN_WIDTH, Sheets, Tokens, is_opened_by_state, read_sheets

MIN_FONT_PIXELS = 4.0
MIN_OPACITY = 0.05
_OFF_SCREEN_PIXELS = 800.0
_FAR_RIGHT_PIXELS = 5000.0
_INDENT_PIXELS = 300.0
_MAX_BLUR_PIXELS = 10.0

_POSITIONED = frozenset({"absolute", "fixed", "relative", "sticky"})
_CLIPPED = frozenset({"hidden", "clip"})
_SIDES = ("left", "top", "right", "bottom")
_SIZES = ("height", "max-height", "width", "max-width", "block-size", "inline-size")
_CLOAKS = ("v-cloak", "x-cloak", "ng-cloak", "data-cloak")
"""Attributes of pages that scripts show as soon as they run."""

_PANE = re.compile(
    r"(?:^|[-_])(?:tab-?panes?|tab-?panels?|tab-?contents?|tabs?[-_]{1,2}(?:panel|content|pane|body)|accordion|collaps\w{0,9}"
    r"|expand\w{0,9}|toggle-?content|faq-?answer|spoiler|disclosure|panel)(?:$|[-_])",
    re.IGNORECASE,
)
_SWITCH = re.compile(
    r"toggle|trigger|expand|accordion|collaps|switch|disclosure|opener|question|(?:^|[-_])tabs?(?:$|[-_])",
    re.IGNORECASE,
)
_NEARBY_LEVELS, _NEARBY_SIBLINGS, _NEARBY_ELEMENTS = 3, 12, 40
_TAG = re.compile(r"<[^<>]{0,500}>")
_SENTENCE_WORDS, _SENTENCE_LETTERS, _WISH_CHARACTERS = 6, 0.8, 120
_TAKES_AWAY = frozenset({"script", "style", "template", "noscript", "title"})


def take_out_hidden(tree: Any, *, sheets: Sequence[str] = ()) -> int:
    """Take out of an lxml page what is not shown; return how many elements hid words by their style."""
    import cssselect2
    from lxml import etree

    own = [(one.text or "", one.get("media") or "") for one in tree.iter("style")]
    rules = read_sheets([*((sheet, "") for sheet in sheets), *own])
    for top in (tree, *tree.iter("body")):
        if top.get("class"):  # scripts take this class off as the page loads
            top.set("class", " ".join(name for name in top.get("class").split() if name not in ("no-js", "nojs")))
    switches = _switched_ids(tree)
    hidden = 0
    gone = []
    root = cssselect2.ElementWrapper.from_html_root(tree)
    waiting = [(root, values_of(rules, root, Style()), Style())]
    while waiting:
        element, values, outer = waiting.pop()
        if _is_off_the_page(element, values, outer, rules, switches):
            gone.append(element.etree_element)
            hidden += _has_words(element.etree_element) and not _is_in_a_menu(element.etree_element)
            continue
        style = style_of(element.etree_element, values, outer)
        if _cannot_be_seen(style):
            hidden += _without_own_words(element.etree_element)
        children = [one for one in element.iter_children() if one.etree_element.tag not in _TAKES_AWAY]
        valued = [(child, values_of(rules, child, style)) for child in children]
        behind = _with_backdrops(style, valued)
        waiting += [(child, declared_values, behind) for child, declared_values in valued]
    for lost in gone:
        lost.tag = _GONE
    etree.strip_elements(tree, _GONE, with_tail=False)
    return hidden


_GONE = "sealserve-gone"


def _with_backdrops(style: Style, children: Sequence[tuple[Any, Mapping[str, Tokens]]]) -> Style:
    """Return `style` with the colours that empty elements among the children spread behind the others."""
    for child, values in children:
        node = child.etree_element
        if _fills_its_box(values) and not len(node) and not (node.text or "").strip():
            papers = papers_of(node, values, style)
            if papers != style.papers:
                return replace(style, papers=(*style.papers, *papers) if papers else ())
    return style


def _fills_its_box(values: Mapping[str, Tokens]) -> bool:
    """Whether an element is laid over all of what it is in."""
    if word_of(values, "position") not in ("absolute", "fixed"):
        return False
    sides = [values.get("inset", ())] if "inset" in values else [values.get(side, ()) for side in _SIDES]
    if all(value and all(size == 0 for size in lengths_of(value, 16.0, whole=1.0)) for value in sides):
        return True
    return all(
        length_of(values.get(name, ()), 16.0, whole=SCREEN_WIDTH) == SCREEN_WIDTH for name in ("width", "height")
    )


def hides_words(tag: str, attributes: Mapping[str, str], *, sheet: str = "") -> bool:
    """Whether an element in a Markdown text, white paper around it, keeps its words from the reader. `sheet`: the
    style sheet in the text.
    """
    import cssselect2
    from lxml import etree

    element = etree.Element("div")
    inner = etree.SubElement(element, tag if re.fullmatch(r"[a-z][a-z0-9]{0,20}", tag) else "div")
    for name, value in attributes.items():
        if re.fullmatch(r"[a-z][a-z-]{0,30}", name):
            inner.set(name, "".join(letter for letter in value if letter.isprintable()))
    wrapped = next(cssselect2.ElementWrapper.from_html_root(element).iter_children())
    sheets = read_sheets([(sheet, "")])
    values = values_of(sheets, wrapped, Style())
    is_gone = _is_off_the_page(wrapped, values, Style(), sheets, frozenset())
    return is_gone or _cannot_be_seen(style_of(inner, values, Style()))


def _cannot_be_seen(style: Style) -> bool:
    if not style.is_visible or style.font_pixels < MIN_FONT_PIXELS or style.is_squeezed:
        return True
    ink = style.ink
    if ink is None:
        return False
    if ink[3] < MIN_OPACITY:
        return True
    return bool(style.papers) and not any(can_be_seen(over(ink, paper)[:3], paper[:3]) for paper in style.papers)


def _is_off_the_page(
    element: Any, values: Mapping[str, Tokens], outer: Style, sheets: Sheets, switches: frozenset[str]
) -> bool:
    """Whether nothing of the element is shown, now or after a click on what opens it."""
    node = element.etree_element
    if node.tag in ("html", "body") or any(name in node.attrib for name in _CLOAKS):
        return False
    if node.get("type") == "hidden" or (node.tag == "dialog" and "open" not in node.attrib) or "popover" in node.attrib:
        return True
    if _is_collapsed(node, values):
        return not _opens_by_click(element, sheets, switches)
    return _is_displaced(values, outer.font_pixels) or _is_cut_away(values, outer.font_pixels)


def _is_collapsed(node: Any, values: Mapping[str, Tokens]) -> bool:
    """Whether the element is folded away in a way that scripts and clicks undo."""
    display = word_of(values, "display")
    if display == "none" or ("hidden" in node.attrib and node.get("hidden") != "until-found" and not display):
        return True
    if word_of(values, "content-visibility") == "hidden":
        return True
    if number_of(values, "opacity", 1.0) < MIN_OPACITY:
        return not ({"animation", "animation-name"} & set(values))
    overflow = {word_of(values, name) for name in ("overflow", "overflow-x", "overflow-y")}
    sizes = [length_of(values.get(name, ()), 16.0) for name in _SIZES]
    is_flat = length_of(values.get("line-height", ()), 16.0) == 0
    return bool(overflow & _CLIPPED) and (is_flat or any(size is not None and size <= 1 for size in sizes))


def _is_displaced(values: Mapping[str, Tokens], font_pixels: float) -> bool:
    """Whether the element stands off the screen or behind the page."""
    if word_of(values, "position") in _POSITIONED:
        if number_of(values, "z-index", 0.0) < 0:
            return True
        for side in (*_SIDES, "inset", "inset-inline-start", "inset-block-start"):
            places = lengths_of(values.get(side, ()), font_pixels, whole=_OFF_SCREEN_PIXELS)
            if any(at <= -_OFF_SCREEN_PIXELS or at >= _FAR_RIGHT_PIXELS for at in places):
                return True
    for name in ("margin", "margin-left", "margin-top", "margin-right", "margin-inline-start"):
        if any(size <= -_OFF_SCREEN_PIXELS for size in lengths_of(values.get(name, ()), font_pixels)):
            return True
    indent = length_of(values.get("text-indent", ()), font_pixels, whole=_OFF_SCREEN_PIXELS)
    if indent is None:
        return False
    return indent <= -_INDENT_PIXELS or (indent >= _OFF_SCREEN_PIXELS and word_of(values, "overflow") in _CLIPPED)


def _is_cut_away(values: Mapping[str, Tokens], font_pixels: float) -> bool:
    """Whether the element is clipped, scaled, filtered or moved out of sight."""
    for token in values.get("clip", ()):
        if token.type == "function" and token.lower_name == "rect":
            sizes = lengths_of(token.arguments, font_pixels)
            if len(sizes) == 4 and (sizes[2] - sizes[0] <= 1 or sizes[1] - sizes[3] <= 1):
                return True
    if any(token.type == "function" and _clips(token) for token in values.get("clip-path", ())):
        return True
    if any(token.type == "function" and _filters_out(token) for token in values.get("filter", ())):
        return True
    scale = number_of(values, "scale", 1.0)
    if scale < MIN_OPACITY or number_of(values, "zoom", 1.0) < MIN_OPACITY:
        return True
    moves = [*values.get("transform", ()), *values.get("-webkit-transform", ())]
    return any(token.type == "function" and _moves_away(token, font_pixels) for token in moves)


def _clips(token: Any) -> bool:
    shares = [one.value for one in token.arguments if one.type in ("percentage", "dimension", "number")]
    if token.lower_name == "inset":
        top, right, bottom, left = (shares * 4)[:4] if len(shares) < 3 else ([*shares, shares[1]])[:4]
        return bool(shares) and (top + bottom >= 100 or right + left >= 100)
    if token.lower_name in ("circle", "ellipse"):
        return bool(shares) and shares[0] == 0
    return token.lower_name in ("polygon", "rect") and len(shares) > 2 and len(set(shares)) == 1


def _filters_out(token: Any) -> bool:
    amount = next((one for one in token.arguments if one.type in ("percentage", "dimension", "number")), None)
    if amount is None:
        return False
    if token.lower_name == "opacity":
        return bool(amount.value / (100 if amount.type == "percentage" else 1) < MIN_OPACITY)
    return bool(token.lower_name == "blur" and amount.value >= _MAX_BLUR_PIXELS)


def _moves_away(token: Any, font_pixels: float) -> bool:
    name = token.lower_name
    amounts = [one for one in token.arguments if one.type in ("number", "percentage", "dimension")]
    if name.startswith("scale"):
        return any(abs(one.value) < MIN_OPACITY for one in amounts[:2])
    if name == "matrix":
        return len(amounts) == 6 and amounts[0].value * amounts[3].value == amounts[1].value * amounts[2].value
    if name.startswith("translate"):
        moved = lengths_of(amounts, font_pixels, whole=_OFF_SCREEN_PIXELS / 2)
        return any(abs(size) >= _OFF_SCREEN_PIXELS for size in moved[:2])
    return name in ("rotatex", "rotatey") and any(one.value in (90, -90, 270) for one in amounts)


def _opens_by_click(element: Any, sheets: Sheets, switches: frozenset[str]) -> bool:
    """Whether the page has a switch for the element: named by it, or near one of the usual folding panes."""
    node = element.etree_element
    if node.get("id") in switches:
        return True
    before = node.getprevious()
    if before is not None and before.tag != "button" and _is_switch(before):
        return True  # a heading that is clicked
    is_pane = node.get("role") == "tabpanel" or any(map(_PANE.search, (node.get("class") or "").split()))
    return (is_pane or is_opened_by_state(sheets, element)) and _has_switch_nearby(node)


def _switched_ids(tree: Any) -> frozenset[str]:
    """Return the ids that buttons, tabs and expanders of the page name as what they open."""
    found: set[str] = set()
    for node in tree.iter(
        "a", "button", "div", "span", "li", "label", "input", "summary", "h2", "h3", "h4", "dt", "td", "tr"
    ):
        names = (node.get("aria-controls") or "").split()
        names += [node.get(name) for name in ("data-target", "data-bs-target", "commandfor") if node.get(name)]
        href = node.get("href") or ""
        if href.startswith("#") and _is_switch(node):
            names.append(href)
        found |= {name.lstrip("#") for name in names if name}
    return frozenset(found)


def _is_switch(node: Any) -> bool:
    if node.tag in ("button", "summary", "label") or node.get("role") in ("tab", "button"):
        return True
    if node.tag == "input" and (node.get("type") or "").lower() in ("checkbox", "radio", "button"):
        return True
    if any(name in node.attrib for name in ("onclick", "aria-expanded", "data-toggle", "data-bs-toggle", "tabindex")):
        return True
    return any(map(_SWITCH.search, (node.get("class") or "").split()))


def _has_switch_nearby(node: Any) -> bool:
    """Whether something to click stands beside the element, or beside what it is in, within some levels."""
    for _ in range(_NEARBY_LEVELS):
        before = islice(node.itersiblings(preceding=True), _NEARBY_SIBLINGS)
        after = islice(node.itersiblings(), _NEARBY_SIBLINGS)
        if any(_is_switch(one) for beside in chain(before, after) for one in _some(beside)):
            return True
        node = node.getparent()
        if node is None or node.tag == "body":
            return False
    return False


def _some(node: Any) -> Iterator[Any]:
    return islice(node.iter("*"), _NEARBY_ELEMENTS)


def _is_in_a_menu(node: Any) -> bool:
    """Whether the element belongs to a menu: folded menus are no part of any page's text."""
    return any(one.tag == "nav" or one.get("role") in ("navigation", "menu") for one in (node, *node.iterancestors()))


def take_out_comments(tree: Any) -> int:
    """Take comments out of an lxml page; return how many of them, and of the elements for browsers without scripts or
    for scripts alone, hold a sentence.
    """
    from lxml import etree

    texts = [node.text or "" for node in tree.iter(etree.Comment)]
    texts += [" ".join(node.itertext()) for node in tree.iter("noscript", "template")]
    etree.strip_elements(tree, etree.Comment, with_tail=False)
    return sum(map(holds_sentence, texts))


def holds_sentence(text: str) -> bool:
    """Return whether text that no page shows reads like a sentence: not code, and no wish for scripts."""
    plain = _TAG.sub(" ", text)
    letters = sum(character.isalpha() or character.isspace() for character in plain)
    if letters < _SENTENCE_LETTERS * len(plain):
        return False
    is_wish = len(plain) <= _WISH_CHARACTERS and "javascript" in plain.casefold()
    return not is_wish and (len(plain.split()) >= _SENTENCE_WORDS or (not plain.isascii() and len(plain.strip()) >= 12))


def _has_words(node: Any) -> bool:
    return any(part.strip() for part in node.itertext())


def _without_own_words(node: Any) -> bool:
    """Take out the element's own text, not that of elements inside; return whether there was any."""
    had_words = bool((node.text or "").strip())
    node.text = ""
    for child in node:
        had_words = had_words or bool((child.tail or "").strip())
        child.tail = " "
    return had_words
