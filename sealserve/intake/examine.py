"""Everything that is done with one document's bytes before the registry is asked. Pure; runs in the sandbox."""

from collections.abc import Mapping
from dataclasses import dataclass

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


def examine(
    content: bytes, *, media_type: str, title: str, max_bytes: int, file_name: str = ""
) -> Examined | Unreadable:
    """Return what `content` holds, or why it cannot be learned. Without `title` the document's own is taken, else its
    first line; a table or a list of records is called by its file's name. `max_bytes` bounds the text in UTF-8.
    """
    parsed = parse(content, media_type=media_type)
    if isinstance(parsed, Unreadable):
        return parsed
    screened = screen(parsed.text, max_bytes=max_bytes)
    if isinstance(screened, Unreadable):
        return screened
    text = screened.text
    named = clean_title(title) or clean_title(parsed.title)
    if not named and not parsed.begins_with_title:
        named = clean_title(file_name)
    named = named or _first_line(text)
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
