"""Unicode text that can be normalised in time linear in it.

Normalising sorts the combining marks of each letter, in time quadratic in their number: a megabyte of marks takes
many minutes. No language puts more than a few on one letter (UAX #15, stream-safe text, allows thirty).
"""

import unicodedata
from typing import Literal

import re2

MAX_MARKS = 30
_LONG_RUN = re2.compile(rf"[\pM\x{{FF9E}}\x{{FF9F}}]{{{MAX_MARKS + 1},}}")
"""The two sound marks of half-width kana are letters that NFKC makes combining marks of."""


def without_excess_marks(text: str) -> tuple[str, int]:
    """Return `text` with at most MAX_MARKS combining marks in a row, and how many runs were cut."""
    kept, place, cut = [], 0, 0
    for found in _LONG_RUN.finditer(text):
        kept.append(text[place : found.start() + MAX_MARKS])
        place, cut = found.end(), cut + 1
    return ("".join([*kept, text[place:]]), cut) if cut else (text, 0)


def normalise(form: Literal["NFC", "NFKC"], text: str) -> str:
    """Return `text` in a Unicode normal form, without excess marks; lone surrogates become question marks."""
    if text.isascii():
        return text
    shown, _ = without_excess_marks(text.encode(errors="replace").decode())
    return unicodedata.normalize(form, shown)
