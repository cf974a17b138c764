"""The child process that reads HTML and PDF: bytes on stdin, one JSON object on stdout, limits set before parsers load.

Run by `parse.py` only.
"""

import io
import json
import re
import resource
import sys
from typing import Any

from sealserve.intake.media_types import Defect, MediaType

LIMIT_HIT = 3
"""Exit code that says: out of memory."""

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
_CLEAR = re.compile(r"(?:rgba|hsla)\([^)]*,0?\.?0*\)|#[0-9a-f]{3}0|#[0-9a-f]{6}00")
_NAMED = {"white": "#fff", "black": "#000", "snow": "#fffafa", "ivory": "#fffff0", "whitesmoke": "#f5f5f5"}
MIN_CONTRAST = 1.3
"""Of ink and paper. WCAG 2.2 asks for 4.5 to read with ease; below this, text cannot be seen."""

_CSS_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_CSS_RULE = re.compile(r"([^{}]{1,500})\{([^{}]{0,2000})\}")
_CSS_NAME = re.compile(r"[.#][\w-]+(?=\s*(?:,|$))", re.MULTILINE)
_UNSEEN_TAGS = ("script", "style", "template", "noscript", "iframe", "object", "svg", "head", "nav", "footer")
_BLOCK_TAGS = frozenset(
    "address article aside blockquote br dd div dl dt figcaption footer h1 h2 h3 h4 h5 h6 header hr li main nav ol p "
    "pre section table td th tr ul".split()
)


_LET_THROUGH = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, OSError, TypeError, ValueError,
)  # fmt: skip
"""What pypdf raises on damaged files besides its own errors (found by feeding it 20,000 of them)."""


class _Unreadable(Exception):
    """Ends reading with a defect and advice."""

    def __init__(self, defect: Defect, advice: str) -> None:
        super().__init__(advice)
        self.defect = defect
        self.advice = advice


def main(arguments: list[str]) -> None:
    """Read stdin and write the reply. `arguments`: media type, CPU seconds, memory bytes, longest text in bytes."""
    media_type, cpu_seconds, memory_bytes, max_text_bytes = MediaType(arguments[0]), *map(int, arguments[1:])
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    content = sys.stdin.buffer.read()
    try:
        title, text, hidden = (*read_pdf(content), 0) if media_type is MediaType.PDF else read_html(content)
        if len(text.encode("utf-8", "surrogatepass")) > max_text_bytes:
            raise _Unreadable(Defect.TOO_LONG, f"its text is above {max_text_bytes} bytes; split it")
        reply: dict[str, str | int] = {"title": title, "text": text, "hidden": hidden}
    except _Unreadable as error:
        reply = {"defect": error.defect.value, "advice": error.advice}
    except (MemoryError, ImportError):  # a parser that does not fit into memory cannot even be imported
        sys.exit(LIMIT_HIT)
    sys.stdout.write(json.dumps(reply))


def read_pdf(content: bytes) -> tuple[str, str]:
    """Return title and text layer. Raises: _Unreadable."""
    import pypdf
    from pypdf.errors import DependencyError, DeprecationError, FileNotDecryptedError, PyPdfError

    try:
        reader = pypdf.PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise _Unreadable(Defect.ENCRYPTED, "it needs a password; send it without one")
        text = "\n\n".join(page.extract_text() for page in reader.pages)
        title = (reader.metadata.title or "") if reader.metadata else ""
    except (FileNotDecryptedError, DependencyError) as error:
        raise _Unreadable(Defect.ENCRYPTED, "it needs a password; send it without one") from error
    except RecursionError as error:
        raise _Unreadable(Defect.TOO_COSTLY, "it is nested too deeply; print it to a new PDF") from error
    except (PyPdfError, DeprecationError, *_LET_THROUGH) as error:
        raise _Unreadable(Defect.BROKEN, "the PDF is damaged or unusual; print it to a new PDF") from error
    if not text.strip():
        raise _Unreadable(Defect.NO_TEXT, "the PDF has no text layer; a scan needs text recognition first")
    return str(title), text


def read_html(content: bytes) -> tuple[str, str, int]:
    """Return title and main text of UTF-8 HTML without anything a browser would not show, and how much that was.

    Raises: _Unreadable.
    """
    from lxml import etree, html  # type: ignore[import-untyped]

    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        tree = html.document_fromstring(content, parser=parser)
    except (etree.LxmlError, ValueError) as error:
        raise _Unreadable(Defect.NO_TEXT, "there is nothing to see on this page") from error
    title = " ".join((tree.findtext(".//title") or tree.findtext(".//h1") or "").split())
    dropped = _drop_hidden(tree)
    return title, _main_text(tree), dropped


def _drop_hidden(tree: Any) -> int:
    """Take out what is not shown; return how many elements hid words by their style."""
    hiding = _hiding_classes(tree)
    dropped = 0
    for element in list(tree.iter()):
        if element.getparent() is None:
            continue
        is_styled = _is_hidden(element, hiding)
        if is_styled or element.tag in _UNSEEN_TAGS:
            dropped += is_styled and bool("".join(element.itertext()).strip())
            element.drop_tree()
    return dropped


def _hiding_classes(tree: Any) -> frozenset[str]:
    """Return the classes and ids that the page's own style sheets hide, as ".name" and "#name"."""
    sheets = "\n".join(element.text or "" for element in tree.iter("style"))
    rules = _CSS_RULE.findall(_CSS_COMMENT.sub("", sheets))
    return frozenset(name for selector, style in rules if _hides(style) for name in _CSS_NAME.findall(selector))


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


if __name__ == "__main__":
    main(sys.argv[1:])
