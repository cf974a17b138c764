"""Everything that is done with one document's bytes before the registry is asked. Pure; runs in the sandbox."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from sealserve.intake.media_types import Unreadable
from sealserve.intake.normalise import clean_title, screen
from sealserve.intake.parse import parse
from sealserve.scanners.contradictions import subjects_of
from sealserve.scanners.findings import Finding, findings_in, places_in
from sealserve.scanners.repetition import sketch_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A document that can be learned: its text, its title, what it is about, and what a person should look at.

    Near copies share most of its `sketch`. `places` names sentences and lines with findings.
    """

    title: str
    text: str
    findings: Mapping[Finding, int]
    subjects: tuple[str, ...]
    sketch: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


_LINES_LOOKED_AT = 20
_WORD = re.compile(r"[^\W\d_]{2}|[\u3040-\u9fff]")
_CODE = re.compile(r"^(?:[\\{}<%$@;|/]|#!|\[[^]]*\]$|[A-Z-]+:\S)")
"""How lines of code and data begin: commands, brackets, "BEGIN:VCALENDAR"."""


def examine(
    content: bytes, *, media_type: str, title: str, max_bytes: int, file_name: str = ""
) -> Examined | Unreadable:
    """Return what `content` holds, or why it cannot be learned. Without `title` the document's own is taken, else its
    first line; a table, a list of records and what begins with code or figures are called by their file's name.
    `max_bytes` bounds the text in UTF-8.
    """
    parsed = parse(content, media_type=media_type)
    if isinstance(parsed, Unreadable):
        return parsed
    screened = screen(parsed.text, max_bytes=max_bytes)
    if isinstance(screened, Unreadable):
        return screened
    text = screened.text
    named = clean_title(title) or clean_title(parsed.title)
    if not named and not (parsed.begins_with_title and _is_title(_first_line(text))):
        named = clean_title(file_name)
    named = named or _first_title(text)
    return Examined(
        title=named,
        text=text,
        findings={**findings_in(f"{named}\n{text}"), Finding.HIDDEN: screened.removed + parsed.hidden},
        subjects=subjects_of(named, text),
        sketch=sketch_of(text),
        places=places_in(text),
    )


def _first_line(text: str) -> str:
    return next((line for line in map(clean_title, text.split("\n")) if line), "")


def _first_title(text: str) -> str:
    """Return the first line that may be a title, else the first line."""
    lines = islice((line for line in map(clean_title, text.split("\n")) if line), _LINES_LOOKED_AT)
    return next((line for line in lines if _is_title(line)), _first_line(text))


def _is_title(line: str) -> bool:
    """Return whether the line says something, unlike the first ones of subtitles, calendars, programs and logs."""
    return _WORD.search(line) is not None and _CODE.match(line) is None
