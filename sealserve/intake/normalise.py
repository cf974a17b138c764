"""Normalises a text before it may be learned, removes invisible characters, or refuses it.

Instructions can be smuggled in as text that a model sees and a reader does not. Characters that only hide are removed;
characters that can carry a message quarantine the document.
"""

import re
import unicodedata
from dataclasses import dataclass

from sealserve.intake.media_types import Defect, Unreadable
from sealserve.stream_safe import normalise, without_excess_marks

MAX_TITLE_CHARACTERS = 200
MAX_TITLE_SOURCE = 4000
"""Characters of a title that are looked at: it may begin with much that is not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalisedText:
    """Text that may be learned: NFC, "\\n" line ends, no invisible characters; `removed` counts those taken out."""

    text: str
    removed: int


_NEWLINES = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f]")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u200e\u200f\u2060-\u2064\ufeff]"
)
_BIDI_MARKS = re.compile("[\u202a-\u202c\u2066-\u206f]")
_JOINERS = re.compile("[\u200c\u200d]+")
"""Zero-width (non-)joiners shape Persian, Indic scripts and emoji; next to ASCII they only hide."""

_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f")
_CARRIERS = re.compile("[\U000e0000-\U000e007f]|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}|[\u202d\u202e]")
"""Tag characters and runs of variation selectors can spell any message; overrides show text backwards.
Unicode TR 36 and TR 51: the only lawful use of tags is inside flags."""

_WORD = re.compile(r"\w")
_BLANK_LINES = re.compile(r"\n{3,}")
_SURROGATES = re.compile("[\ud800-\udfff]")
_LINE_END_SPACES = " \t\u00a0"


def screen(text: str, *, max_bytes: int) -> NormalisedText | Unreadable:
    """Return the text ready to be learned, or why it must not be. `max_bytes` bounds its UTF-8 form."""
    if _CARRIERS.search(_FLAG.sub("", text)):
        advice = "holds characters that hide a message (tags, variation selectors or direction overrides); remove them"
        return Unreadable(defect=Defect.HIDDEN_TEXT, advice=advice)
    if _SURROGATES.search(text):
        return Unreadable(defect=Defect.ENCODING, advice="holds lone surrogates, which are no characters; send UTF-8")
    lines = _NEWLINES.sub("\n", text)
    shown, removed = _without_invisible(lines)
    even = "\n".join(line.rstrip(_LINE_END_SPACES) for line in unicodedata.normalize("NFC", shown).split("\n"))
    clean = _BLANK_LINES.sub("\n\n", even).strip()
    if not _WORD.search(clean):
        return Unreadable(defect=Defect.NO_TEXT, advice="not a single word in it; a scan needs text recognition first")
    if len(clean.encode()) > max_bytes:
        return Unreadable(defect=Defect.TOO_LONG, advice=f"its text is above {max_bytes} bytes; split it")
    return NormalisedText(text=clean, removed=removed)


def clean_title(title: str) -> str:
    """Return `title` on one line, printable characters only, at most MAX_TITLE_CHARACTERS long.

    Only its first MAX_TITLE_SOURCE characters are looked at.
    """
    words = " ".join(normalise("NFC", _SURROGATES.sub("", title[:MAX_TITLE_SOURCE])).split())
    return "".join(filter(str.isprintable, words))[:MAX_TITLE_CHARACTERS].strip()


def _without_invisible(text: str) -> tuple[str, int]:
    removed = 0
    for pattern in (_CONTROLS, _INVISIBLE, _BIDI_MARKS):
        text, count = pattern.subn("", text)
        removed += count
    text, joiners = _without_idle_joiners(text)
    text, marks = without_excess_marks(text)
    return text, removed + joiners + marks


def _without_idle_joiners(text: str) -> tuple[str, int]:
    """Take out runs of joiners that touch ASCII or an end of the text; return how many runs those were."""
    kept, place, removed = [], 0, 0
    for found in _JOINERS.finditer(text):
        start, end = found.span()
        if start == 0 or end == len(text) or text[start - 1].isascii() or text[end].isascii():
            kept.append(text[place:start])
            place, removed = end, removed + 1
    return ("".join([*kept, text[place:]]), removed) if removed else (text, 0)
