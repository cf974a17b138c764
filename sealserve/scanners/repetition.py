"""Measures how much of a text is new compared with earlier texts of the same origin, by words alone.

A series of documents shares its frame and brings new values; a flood brings the same statements again, with a changed
date or number, in another order, or with another word here and there.
"""

import re
from collections.abc import Set
from dataclasses import dataclass
from hashlib import sha256

from sealserve.writing_systems import meaning_words, sentences_of, words_of

MAX_UNKNOWN = 0.3
"""Share of its words up to which a statement with words that no earlier text has says nothing new: synonyms of filler
change about one word in four."""

MAX_NEW = 0.3
"""Share of statements up to which a text with something new is still the same one again, as an update is."""

SKETCH = 8
"""Statements by whose digests near copies of a text are found, whatever it is about."""

_NUMBER = re.compile(r"\d")
_DIGITS = re.compile(r"\d+")
_DATE = re.compile(
    r"(?i)\b(?:\d{1,2}(?:st|nd|rd|th|\.)? )?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.? \d{1,4}"
    r"(?:,? \d{4})?\b|\b\d{1,4}[-./]\d{1,2}[-./]\d{1,4}\b|\b\d{4}年\d{1,2}月(?:\d{1,2}日)?|\b\d{1,2}:\d{2}(?::\d{2})?\b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What one text says that another does not: `share` of its statements. `has_subject`: it is of something else;
    `has_title`: its title at least is.
    """

    share: float
    has_subject: bool
    has_title: bool

    @property
    def is_none(self) -> bool:
        """Whether the text says nothing that the other does not say."""
        return self.share == 0

    @property
    def is_slight(self) -> bool:
        """Whether it says so little new that it is the same text again."""
        return self.share <= MAX_NEW and not self.has_subject


def news_in(text: str, *, title: str, earlier: str) -> News:
    """Return how much of `text` the `earlier` one does not say. Dates and the title are no news; other numbers are.

    A statement with a word of the title that the earlier text has not is about something else.
    """
    known = set(meaning_words(earlier))
    heading = frozenset(meaning_words(title))
    statements = [frozenset(meaning_words(one)) for one in sentences_of(_undated(text))]
    statements = [words for words in statements if words and not words <= heading]
    subject = {word for word in meaning_words(_undated(title)) if not _NUMBER.search(word)} - known
    new = sum(_is_new(words, known) or bool(subject & words) for words in statements)
    return News(
        share=new / max(1, len(statements)),
        has_subject=any(subject & words for words in statements),
        has_title=any(not _NUMBER.search(word) for word in {*words_of(_undated(title))} - {*words_of(earlier)}),
    )


def sketch_of(text: str) -> tuple[str, ...]:
    """Return digests of SKETCH statements of `text`, numbers aside: most of them are those of a near copy, too."""
    statements = {" ".join(sorted({*meaning_words(_DIGITS.sub("", one))})) for one in sentences_of(_undated(text))}
    digests = sorted(sha256(one.encode()).hexdigest()[:24] for one in statements if one)
    return tuple(f"said:{digest}" for digest in digests[:SKETCH])


def _undated(text: str) -> str:
    return _DATE.sub(" ", text)


def _is_new(words: Set[str], known: Set[str]) -> bool:
    """Whether a statement has a number that is not known, or many words that are not."""
    missing = words - known
    return any(_NUMBER.search(word) for word in missing) or len(missing) > MAX_UNKNOWN * len(words)
