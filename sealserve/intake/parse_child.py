"""The child that reads HTML and PDF: bytes on stdin, one JSON object on stdout, limits set before any parser loads.

Run by `parse.py` only. Knows nothing but the bytes it is given.
"""

import io
import json
import re
import resource
import sys
from typing import Any

from sealserve.intake.media import Defect, MediaType

LIMIT_HIT = 3
"""Exit code that says: out of memory."""

_HIDING_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|font-size\s*:\s*0(?![.\d]*[1-9])|opacity\s*:\s*0(?![.\d]*[1-9])",
    re.IGNORECASE,
)
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
        title, text = read_pdf(content) if media_type is MediaType.PDF else read_html(content)
        if len(text.encode("utf-8", "surrogatepass")) > max_text_bytes:
            raise _Unreadable(Defect.TOO_LONG, f"its text is above {max_text_bytes} bytes; split it")
        reply = {"title": title, "text": text}
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


def read_html(content: bytes) -> tuple[str, str]:
    """Return title and main text of UTF-8 HTML, without anything a browser would not show. Raises: _Unreadable."""
    from lxml import etree, html  # type: ignore[import-untyped]

    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        tree = html.document_fromstring(content, parser=parser)
    except (etree.LxmlError, ValueError) as error:
        raise _Unreadable(Defect.NO_TEXT, "there is nothing to see on this page") from error
    title = " ".join((tree.findtext(".//title") or tree.findtext(".//h1") or "").split())
    _drop_hidden(tree)
    return title, _main_text(tree)


def _drop_hidden(tree: Any) -> None:
    for element in list(tree.iter()):
        if element.getparent() is not None and _is_hidden(element):
            element.drop_tree()


def _is_hidden(element: Any) -> bool:
    if element.tag in _UNSEEN_TAGS or "hidden" in element.attrib or element.get("aria-hidden") == "true":
        return True
    return bool(_HIDING_STYLE.search(element.get("style") or ""))


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
