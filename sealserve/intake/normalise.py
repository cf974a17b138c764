"""Normalises a text before it may be learned, removes invisible characters, or refuses it.

Instructions can be smuggled in as text that a model sees and a reader does not. Characters that only hide are removed
and counted; characters that can carry a message quarantine the document. What typesetting leaves behind (ligatures,
soft hyphens, words broken at line ends, direction marks, stray controls) is put right without being called hidden.
"""

import re
import unicodedata
from dataclasses import dataclass

from sealserve.intake.line_ends import join_broken_words
from sealserve.intake.media_types import Defect, Unreadable
from sealserve.stream_safe import normalise, without_excess_marks

MAX_TITLE_CHARACTERS = 200
MAX_TITLE_SOURCE = 4000
"""Characters of a title that are looked at: it may begin with much that is not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalisedText:
    """Text that may be learned: NFC, "\\n" line ends, no invisible characters; `removed` counts those that hid."""

    text: str
    removed: int


_NEWLINES = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_TYPESETTING = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f\u00ad\u061c\u200e\u200f\u202a-\u202c\u2066-\u2069]|^\ufeff", re.MULTILINE
)
"""Controls, soft hyphens, direction marks and byte order marks: honest texts have them, and they say nothing."""

_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u2060-\u2064\u206a-\u206f\ufeff]")
_JOINERS = re.compile("[\u200c\u200d]+")
"""Zero-width (non-)joiners shape Persian, Indic scripts and emoji; next to ASCII they only hide."""

_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f")
_CARRIERS = re.compile("[\U000e0000-\U000e007f]|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}|[\u202d\u202e]")
"""Tag characters and runs of variation selectors can spell any message; overrides show text backwards.
Unicode TR 36 and TR 51: the only lawful use of tags is inside flags."""

_LIGATURES = re.compile("[\ufb00-\ufb06\ufb13-\ufb17\ufb1d-\ufb4f\ufb50-\ufdf1\ufe70-\ufefc]+")
"""Latin and Armenian ligatures, Hebrew and Arabic presentation forms: glyphs that PDF files write for letters."""

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
    shown, removed = _without_invisible(_NEWLINES.sub("\n", text).replace("\u00ad\n", ""))
    even = "\n".join(line.rstrip(_LINE_END_SPACES) for line in unicodedata.normalize("NFC", shown).split("\n"))
    clean = join_broken_words(_BLANK_LINES.sub("\n\n", even).strip())
    if not _WORD.search(clean):
        return Unreadable(defect=Defect.NO_TEXT, advice="not a single word in it; a scan needs text recognition first")
    size = len(clean.encode())
    if size > max_bytes:
        advice = f"its text has {size} bytes, of {max_bytes} at most (intake.max_text_bytes); split it"
        return Unreadable(defect=Defect.TOO_LONG, advice=advice)
    return NormalisedText(text=clean, removed=removed)


def clean_title(title: str) -> str:
    """Return `title` on one line, printable characters and the joiners that its script needs, at most
    MAX_TITLE_CHARACTERS long.

    Only its first MAX_TITLE_SOURCE characters are looked at.
    """
    source = _with_letters(_SURROGATES.sub("", title[:MAX_TITLE_SOURCE]))
    words = " ".join(normalise("NFC", source).split())
    shown = "".join(letter for letter in words if letter.isprintable() or _JOINERS.match(letter))
    kept, _ = _without_idle_joiners(shown)
    return _without_idle_joiners(kept[:MAX_TITLE_CHARACTERS].strip())[0]


def _without_invisible(text: str) -> tuple[str, int]:
    text, removed = _INVISIBLE.subn("", _TYPESETTING.sub("", text))
    text, joiners = _without_idle_joiners(text)
    text, marks = without_excess_marks(_with_letters(text))
    return text, removed + joiners + marks


def _with_letters(text: str) -> str:
    """Return `text` with ligatures and presentation forms as the letters that they show."""
    return _LIGATURES.sub(lambda found: normalise("NFKC", found[0]), text)


def _without_idle_joiners(text: str) -> tuple[str, int]:
    """Take out runs of joiners that touch ASCII or an end of the text; return how many runs those were."""
    kept, place, removed = [], 0, 0
    for found in _JOINERS.finditer(text):
        start, end = found.span()
        if start == 0 or end == len(text) or text[start - 1].isascii() or text[end].isascii():
            kept.append(text[place:start])
            place, removed = end, removed + 1
    return ("".join([*kept, text[place:]]), removed) if removed else (text, 0)
