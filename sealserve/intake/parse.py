"""Bytes to text and title, for each format. Runs in the sandbox: hostile files make parsers loop or eat memory."""

from importlib.util import find_spec
from itertools import pairwise

from sealserve.intake.html_pages import read_html
from sealserve.intake.media_types import Claimed, MediaType, Parsed, Unreadable, claimed, decode, mismatch

_PARSERS = {MediaType.HTML: ("lxml", "trafilatura"), MediaType.PDF: ("pypdfium2",)}


def missing_parser(media_type: str) -> str:
    """Return the name of a format whose parser is not installed here; "" if `media_type` can be read."""
    what = claimed(media_type)
    if isinstance(what, Unreadable) or all(find_spec(parser) for parser in _PARSERS.get(what.media_type, ())):
        return ""
    return what.media_type.name


def parse(content: bytes, *, media_type: str) -> Parsed | Unreadable:
    """Return what `content` says, or why it cannot be read.

    May take any amount of time and memory for HTML and PDF: the sandbox bounds it.
    """
    what = claimed(media_type)
    if isinstance(what, Unreadable):
        return what
    wrong = mismatch(content, what.media_type)
    if wrong:
        return wrong
    if what.media_type is MediaType.PDF:
        from sealserve.intake.pdf.reading import read_pdf  # its library is optional

        return read_pdf(content)
    text = decode(content, what)
    return text if isinstance(text, Unreadable) else _parse_text(text, what)


def _parse_text(text: str, what: Claimed) -> Parsed | Unreadable:
    if what.media_type is MediaType.HTML:
        return read_html(text.encode("utf-8", "surrogatepass"))
    unix = text.replace("\r\n", "\n").replace("\r", "\n")
    return _markdown(unix) if what.media_type is MediaType.MARKDOWN else Parsed(title="", text=unix)


def _markdown(text: str) -> Parsed:
    """Take the front matter off; the title is its `title`, else the first heading."""
    front, body = _split_front_matter(text)
    named = next(filter(None, map(_front_title, front)), "")
    return Parsed(title=named.strip("\"'") if named else _first_heading(body), text=body)


def _split_front_matter(text: str) -> tuple[list[str], str]:
    """Return the lines between a first line of three dashes and the next one, and what follows; else no lines."""
    if not text.startswith("---"):
        return [], text
    first, *lines = text.split("\n")
    if first.rstrip(" \t") != "---":
        return [], text
    end = next((place for place, line in enumerate(lines) if place and line.rstrip(" \t") in ("---", "...")), None)
    return ([], text) if end is None else (lines[:end], "\n".join(lines[end + 1 :]))


def _front_title(line: str) -> str:
    key, _, value = line.partition(":")
    return value.strip(" \t") if key.lower() == "title" else ""


def _first_heading(text: str) -> str:
    """Return the first heading, written with number signs or underlined with equals signs; "" if there is none."""
    for line, following in pairwise([*text.split("\n"), ""]):
        bare = line.lstrip(" ")
        marks = len(bare) - len(bare.lstrip("#"))
        if len(line) - len(bare) <= 3 and 1 <= marks <= 6 and bare[marks : marks + 1] in (" ", "\t"):
            if heading := bare[marks:].strip(" \t").rstrip(" \t#"):
                return heading
        elif line and not line[0].isspace() and following.rstrip(" \t").strip("=") == "" and following[:1] == "=":
            return line
    return ""
