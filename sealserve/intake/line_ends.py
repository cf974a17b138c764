"""Words broken at line ends: "manage-" and "ment" become one word again, "well-" and "known" keep their hyphen.

Typesetting breaks words at hyphens of its own, and wraps lines at hyphens that belong to the word. The document itself
tells most of them apart, by how it writes the word elsewhere; short lists of English halves help with the rest.
"""

import re
from collections import Counter

_BROKEN = re.compile("([^\\W\\d_]{2,40})([-\u2010])(\n {0,3})(?=([^\\W\\d_]{2,40})(?!\\w)([-\u2010]?))")
_TWO_HALVES = re.compile("[^\\W\\d_]{2,40}(?:[-\u2010][^\\W\\d_]{2,40})?")
_NO_PROSE = re.compile(r" {4}|\t|```|~~~|\||#")

_KEEP_AFTER = frozenset(
    "all anti ex half high low long short full self well ill non pre post semi quasi cross so co counter multi "
    "user open single double triple first second third two three four five six seven eight nine ten twenty thirty "
    "forty fifty sixty seventy eighty ninety part left right top back front read write real old new best worst "
    "early late hard soft built by in on off up down out over under face step day week month year end mother "
    "father sister brother north south east west client server state data time web e".split()
)
_KEEP_BEFORE = frozenset(
    "known based free like wide proof friendly related specific term line time date level side end day days week month "
    "year hour minute aware only driven defined made ready hand class scale size down up off out in of on to law "
    "old size house built run source point person style type quality use first last".split()
)
"""Halves of English compounds that are written with a hyphen: before it, and after it."""

_HANGING = frozenset(
    "and or to und oder bzw sowie bis et ou y o e en of och eller og i lub a nebo és или и та або".split()
)
"""Words after a hyphen that hangs: "Vor- und Nachteile"."""


def join_broken_words(text: str) -> str:
    """Return `text` with words joined that a line end breaks, in running text: not in code, tables and headings.

    The hyphen stays where the document writes the word with it elsewhere, where the second half begins with a capital,
    and where one half is usual in compounds; it goes where the document writes the word without it, and elsewhere.
    """
    if "-\n" not in text and "\u2010\n" not in text:
        return text
    words = Counter(found[0].casefold() for found in _TWO_HALVES.finditer(text))
    kept, place = [], 0
    for found in _BROKEN.finditer(text):
        first, _, _, second, more = found.groups()
        start = text.rfind("\n", 0, found.start()) + 1
        if (second.casefold() in _HANGING and not more) or _NO_PROSE.match(text, start):
            continue
        is_chain = bool(more) and text[found.end(5) : found.end(5) + 1].isalpha()  # state-of-the-art
        kept += [text[place : found.start(2)], "-" if is_chain or _has_hyphen(first, second, words) else ""]
        place = found.end(3)
    return "".join([*kept, text[place:]])


def _has_hyphen(first: str, second: str, words: Counter[str]) -> bool:
    one, other = first.casefold(), second.casefold()
    with_hyphen, without = words[f"{one}-{other}"] + words[f"{one}\u2010{other}"], words[one + other]
    if with_hyphen != without:
        return with_hyphen > without
    if second[0].isupper() or one in _KEEP_AFTER or other in _KEEP_BEFORE:
        return True
    return words[one] > 1 and words[other] > 1  # each is a word of its own; both are counted once here
