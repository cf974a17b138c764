"""Measures how much of a text is new compared with earlier texts of the same origin, by words alone.

A series of documents shares its frame and brings new values; a flood brings the same statements again, with a changed
date or number, in another order, or with another word here and there.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Set
from dataclasses import dataclass
from hashlib import sha256

from sealserve.scanners.table_rows import split_rows
from sealserve.writing_systems import meaning_words, sentences_of, words_of

MAX_UNKNOWN = 0.3
"""Share of its words up to which a statement with words that no earlier text has says nothing new: synonyms of filler
change about one word in four."""

MAX_NEW = 0.3
"""Share of statements up to which a text with something new is still the same one again, as an update is."""

MIN_ROW_SHARE = 1 / 3
"""Share of statements that are rows from which on a text is a table: its frame may be as long again."""

MIN_NUMBER_SHARE = 2 / 3
"""Share of statements with a number, other than a date, from which on a text is a report of numbers."""

SAME_STATEMENT = 0.5
"""Share of a sentence's words with which a number has to stand in one earlier sentence, not to be new."""

MAX_LOOKED_AT = 200_000
"""Earlier statements that are looked at for one text; what is left is new."""

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
    `has_title`: its title at least is. `is_table`: most of it are rows. `is_data`: or nearly all of it has numbers.
    """

    share: float
    has_subject: bool
    has_title: bool
    is_table: bool = False
    is_data: bool = False

    @property
    def is_none(self) -> bool:
        """Whether the text says nothing that the other does not say. Tables of two things may have the same rows."""
        return self.share == 0 and not (self.is_table and self.has_title)

    @property
    def is_slight(self) -> bool:
        """Whether it says so little new that it is the same text again."""
        return self.share <= MAX_NEW and not self.has_subject


class Told:
    """What earlier texts say, as `news_in` looks it up."""

    def __init__(self, *texts: str) -> None:
        self.every_word: set[str] = set()
        self.words: set[str] = set()
        self._by_word: dict[str, list[frozenset[str]]] = defaultdict(list)
        for text in texts:
            self.every_word.update(words_of(text))
            self.words.update(meaning_words(text))
            rows, rest = split_rows(text)
            for one in {*_sets(rows), *_sets(sentences_of(rest))}:
                for word in one:
                    self._by_word[word].append(one)
        self._looks_left = MAX_LOOKED_AT

    def says(self, words: Set[str], *, share: float) -> bool:
        """Whether one statement has all numbers of `words` and that share of the others."""
        numbers = {word for word in words if _NUMBER.search(word)}
        rarest = min(numbers if share < 1 else words, key=lambda word: len(self._by_word.get(word, ())), default="")
        for statement in self._by_word.get(rarest, ()):
            self._looks_left -= 1
            if self._looks_left < 0:
                return False
            if numbers <= statement and len(words & statement) >= share * len(words):
                return True
        return False


def news_in(text: str, *, title: str, earlier: Told) -> News:
    """Return how much of `text` the `earlier` ones do not say. In sentences dates are no news, and the title is none;
    other numbers are. In rows every cell may be.

    A statement with a word of the title that no earlier text has is about something else.
    """
    rows, rest = split_rows(text)
    heading = frozenset(meaning_words(title))
    subject = {word for word in meaning_words(_undated(title)) if not _NUMBER.search(word)} - earlier.words
    row_sets, whole = _sets(rows), _sets(sentences_of(_undated(rest)))
    sentences = [one for one in whole if not one <= heading]
    if not row_sets and not sentences:
        sentences = whole  # a text of one line is its own title
    new = sum(_is_new_row(words, earlier) or bool(subject & words) for words in row_sets)
    new += sum(_is_new(words, earlier) or bool(subject & words) for words in sentences)
    count = len(row_sets) + len(sentences)
    numbered = sum(any(_NUMBER.search(word) for word in words) for words in sentences)
    is_table = len(row_sets) > MIN_ROW_SHARE * count
    return News(
        share=new / max(1, count),
        has_subject=any(subject & words for words in (*row_sets, *sentences)),
        has_title=any(not _NUMBER.search(word) for word in {*words_of(_undated(title))} - earlier.every_word),
        is_table=is_table,
        is_data=is_table or numbered > MIN_NUMBER_SHARE * count,
    )


def sketch_of(text: str) -> tuple[str, ...]:
    """Return digests of SKETCH statements of `text`, numbers aside: most of them are those of a near copy, too."""
    statements = {" ".join(sorted({*meaning_words(_DIGITS.sub("", one))})) for one in sentences_of(_undated(text))}
    digests = sorted(sha256(one.encode()).hexdigest()[:24] for one in statements if one)
    return tuple(f"said:{digest}" for digest in digests[:SKETCH])


def _undated(text: str) -> str:
    return _DATE.sub(" ", text)


def _sets(statements: Iterable[str]) -> list[frozenset[str]]:
    return [words for one in statements if (words := frozenset(meaning_words(one)))]


def _is_new(words: Set[str], earlier: Told) -> bool:
    """Whether a sentence has a number that no earlier one has in such words, or many words that are not known."""
    missing = words - earlier.words
    if any(_NUMBER.search(word) for word in missing) or len(missing) > MAX_UNKNOWN * len(words):
        return True
    return any(_NUMBER.search(word) for word in words) and not earlier.says(words, share=SAME_STATEMENT)


def _is_new_row(words: Set[str], earlier: Told) -> bool:
    """Whether no earlier statement has all cells of a row; a few words that nobody knows change nothing."""
    missing = words - earlier.words
    if any(_NUMBER.search(word) for word in missing) or len(missing) > MAX_UNKNOWN * len(words):
        return True
    return not earlier.says(words - missing, share=1.0)
