"""HTML to text: the main text of a page, without what a browser would not show. Runs in the sandbox.

Everything here takes time linear in the page. What lxml and trafilatura take is bounded by the sandbox alone.
"""

import re
from collections.abc import Iterator
from typing import Any

from sealserve.intake.media_types import Defect, Parsed, Unreadable

_HIDING_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|content-visibility\s*:\s*hidden"
    r"|font-size\s*:\s*(?:0(?![.\d]*[1-9])|[0-3](?:\.\d+)?p[xt]|0*\.[0-2]\d*r?em)|font\s*:\s*0(?:px)?\b"
    r"|opacity\s*:\s*0(?![.\d]*[1-9])|(?:text-indent|left|right|top|bottom|margin-left)\s*:\s*-\d{3,}"
    r"|clip\s*:\s*rect\(\s*[01](?:px)?[\s,]+[01](?:px)?[\s,]+[01](?:px)?[\s,]+[01](?:px)?\s*\)"
    r"|clip-path\s*:\s*(?:inset\(\s*(?:100|50)%|circle\(\s*0)|transform\s*:\s*scale\(\s*0\s*\)"
    r"|(?<![-\w])(?:max-)?(?:height|width)\s*:\s*[01](?:px)?\s*(?:;|$|!)",
    re.IGNORECASE,
)
_COLOUR = re.compile(r"(?<![-\w])(color|background-color|background)\s*:\s*([^;]+)", re.IGNORECASE)
_HEX = re.compile(r"#([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})")
_RGB = re.compile(r"rgba?\((\d{1,3}),(\d{1,3}),(\d{1,3})")
_CLEAR = re.compile(r"(?:rgba|hsla)\([^()]*,0?\.?0*\)|#[0-9a-f]{3}0|#[0-9a-f]{6}00")
_NAMED = {"white": "#fff", "black": "#000", "snow": "#fffafa", "ivory": "#fffff0", "whitesmoke": "#f5f5f5"}
MIN_CONTRAST = 1.3
"""Of ink and paper. WCAG 2.2 asks for 4.5 to read with ease; below this, text cannot be seen."""

_CSS_NAME = re.compile(r"[.#][\w-]+(?=\s*(?:,|$))", re.MULTILINE)
_UNSEEN_TAGS = ("script", "style", "template", "noscript", "iframe", "object", "svg", "head", "nav", "footer")
_GONE = "sealserve-gone"
_BLOCK_TAGS = frozenset(
    "address article aside blockquote br dd div dl dt figcaption footer h1 h2 h3 h4 h5 h6 header hr li main nav ol p "
    "pre section table td th tr ul".split()
)


def read_html(page: str | bytes) -> Parsed | Unreadable:
    """Return title and main text of UTF-8 HTML without anything a browser would not show, and how much that was."""
    from lxml import etree, html  # type: ignore[import-untyped]

    content = page if isinstance(page, bytes) else page.encode("utf-8", "surrogatepass")
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        tree = html.document_fromstring(content, parser=parser)
    except (etree.LxmlError, ValueError):
        return Unreadable(defect=Defect.NO_TEXT, advice="there is nothing to see on this page")
    title = " ".join((tree.findtext(".//title") or tree.findtext(".//h1") or "").split())
    dropped = _drop_hidden(tree)
    return Parsed(title=title, text=_main_text(tree), hidden=dropped)


def _drop_hidden(tree: Any) -> int:
    """Take out what is not shown; return how many elements hid words by their style."""
    from lxml import etree

    hiding = _hiding_classes(tree)
    dropped = 0
    walk = etree.iterwalk(tree, events=("start",))
    for _, element in walk:
        if element.getparent() is None:
            continue
        is_styled = _is_hidden(element, hiding)
        if is_styled or element.tag in _UNSEEN_TAGS:
            dropped += is_styled and any(part.strip() for part in element.itertext())
            walk.skip_subtree()
            element.tag = _GONE
    etree.strip_elements(tree, _GONE, with_tail=False)
    return dropped


def _hiding_classes(tree: Any) -> frozenset[str]:
    """Return the classes and ids that the page's own style sheets hide, as ".name" and "#name"."""
    sheets = "\n".join(element.text or "" for element in tree.iter("style"))
    rules = _css_rules(_without_comments(sheets))
    return frozenset(name for selector, style in rules if _hides(style) for name in _CSS_NAME.findall(selector))


def _css_rules(sheets: str) -> Iterator[tuple[str, str]]:
    """Yield selector and declarations of each innermost block."""
    for block in sheets.split("}")[:-1]:
        before, _, style = block.rpartition("{")
        yield before.rpartition("{")[2], style


def _without_comments(sheets: str) -> str:
    kept, place = [], 0
    while (start := sheets.find("/*", place)) >= 0 and (end := sheets.find("*/", start + 2)) >= 0:
        kept.append(sheets[place:start])
        place = end + 2
    return "".join([*kept, sheets[place:]])


def _is_hidden(element: Any, hiding: frozenset[str]) -> bool:
    if not isinstance(element.tag, str):
        return False
    if "hidden" in element.attrib or element.get("aria-hidden") == "true" or element.get("type") == "hidden":
        return True
    names = [f".{name}" for name in (element.get("class") or "").split()] + [f"#{element.get('id')}"]
    return _hides(_whole_style(element)) or any(name in hiding for name in names)


def _whole_style(element: Any) -> str:
    """The element's style, with what old attributes say of its colours."""
    style = element.get("style") or ""
    for attribute, name in (("color", "color"), ("bgcolor", "background-color")):
        style += f";{name}:{element.get(attribute)}" if element.get(attribute) else ""
    return style


def _hides(style: str) -> bool:
    """Whether the style keeps its text from being seen: gone, transparent, tiny, off the screen, ink like paper."""
    if _HIDING_STYLE.search(style):
        return True
    colours = {name.casefold(): _luminance(value) for name, value in _COLOUR.findall(style)}
    ink, paper = colours.get("color"), colours.get("background-color", colours.get("background", 1.0))
    if ink is None or paper is None:
        return False
    lighter, darker = max(ink, paper), min(ink, paper)
    return (lighter + 0.05) / (darker + 0.05) < MIN_CONTRAST


def _luminance(value: str) -> float | None:
    """Relative luminance of a colour (WCAG 2.2); None where it is not known, white paper's where nothing shows."""
    plain = re.sub(r"\s*!\s*important|\s+", "", value.casefold())
    if plain == "transparent" or _CLEAR.fullmatch(plain):
        return 1.0
    found = _HEX.fullmatch(_NAMED.get(plain, plain))
    if found:
        digits = found[1] if len(found[1]) > 4 else "".join(2 * digit for digit in found[1])
        channels = [int(digits[place : place + 2], 16) for place in (0, 2, 4)]
    elif rgb := _RGB.match(plain):
        channels = [int(part) for part in rgb.groups()]
    else:
        return None
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (n / 255 for n in channels)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _main_text(tree: Any) -> str:
    """Return the article without menus and footers; the whole page where no article is found."""
    import trafilatura
    from lxml import html

    page = html.tostring(tree, encoding="unicode")
    found = trafilatura.extract(page, include_comments=False, include_tables=True, favor_recall=True)
    return str(found) if found else _all_text(tree)


def _all_text(tree: Any) -> str:
    from lxml import etree

    parts: list[str] = []
    for event, element in etree.iterwalk(tree, events=("start", "end")):
        parts.append("\n" if element.tag in _BLOCK_TAGS else "")
        parts.append((element.text if event == "start" else element.tail) or "")
    lines = (" ".join(line.split()) for line in "".join(parts).split("\n"))
    return "\n".join(line for line in lines if line)
