"""Checks that a self-edit is grounded in its document. Pure text comparison, no model.

Dates, numbers and names must occur in the document; an answer must contain words of the document that are not already
in the question. A grounded self-edit may still join a right name to another's value; the open-book check of the filter
finds that.
"""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import TypeAlias

from sealserve.grading.answers import normalised, stands_in
from sealserve.writing_systems import FUNCTION_WORDS, is_unspaced, joined

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_MONTH = "(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*|May"
_DATE = re.compile(
    r"\b(?P<y0>\d{4})-(?P<m0>\d{1,2})-(?P<d0>\d{1,2})\b"
    rf"|\b(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<m1>{_MONTH})\b(?:,? (?P<y1>\d{{4}})\b)?"
    rf"|\b(?P<m2>{_MONTH}) (?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,? (?P<y2>\d{{4}})\b)?"
)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_Date: TypeAlias = tuple[str, int, int]
"""Year ("" when it is not said), month, day."""

_SUFFIX = re.compile(r"(?:ing|ed|es|s|e)$")
_CAPITALISED_RUN = re.compile(r"(?<=[a-z,;] )[A-Z][\w'’-]*(?: [A-Z][\w'’-]*)*")
MAX_SUBJECTS = 1000
MIN_ROOTS = 2
"""Content words of a document that a question without names has, if it is about it."""

_EMPTY_WORDS = frozenset(
    """a an and are as at be been but by can did do does for from had has have he her his how i if in into is it its
    more most no nor not of on one or she so some than that the their them then there these they this those to too
    us was we were what when where which who whom whose why with would you your""".split()
)  # fmt: skip


def ungrounded(self_edit: str, document: str, *, earlier: str = "", is_inflected: bool = False) -> str:
    """Return the first date, number or name in `self_edit` that neither `document` nor `earlier` has; "" if none.

    `earlier` is what is known of the same subjects already. A date counts as a whole, however it is written: its day
    and its year may not come from two others. A word counts as a name when it is capitalised inside a sentence.
    `is_inflected` takes another ending of a known word for the same word, as many languages need.
    """
    known = f"{document}\n{earlier}"
    numbers = set(_NUMBER.findall(known))
    dates = {date for date, _ in _find_dates(known)}
    rest = self_edit
    for date, words in _find_dates(self_edit):
        if not _is_known(date, dates, numbers):
            return words
        rest = rest.replace(words, " ")
    stray = next((number for number in _NUMBER.findall(rest) if number not in numbers), "")
    if stray:
        return stray
    said = words_in(known)
    strays = (name for name in names(rest) if name.casefold() not in said)
    return next((name for name in strays if not (is_inflected and _has_stem(name.casefold(), said))), "")


def is_quoted(answer: str, document: str) -> bool:
    """Return whether the document has `answer` word for word, case and punctuation aside."""
    return f" {normalised(answer)} " in f" {normalised(document)} "


def share_of_roots(text: str, document: str) -> float:
    """Return which share of the content words of `text` the document has, endings aside; 0 if there are none."""
    return share_known(roots(text), roots(document))


def share_known(said: set[str], known: set[str]) -> float:
    """Return which share of the roots `said` is `known`, endings aside; 0 if there are none."""
    return sum(root in known or _has_stem(root, known) for root in said) / len(said) if said else 0.0


def names(text: str) -> list[str]:
    """Return the capitalised words of `text` that do not begin a sentence, in order."""
    return [
        found[0]
        for found in _WORD.finditer(text)
        if found[0][0].isupper() and found[0] != "I" and not _begins_sentence(text, found.start())
    ]


def answer_span(answer: str, *, question: str, document: str) -> str:
    """Return the words of `answer` that answer: the run that stands in the document, without the question's words.

    "" when there is none: then the answer does not stand in the document. "The price is 45 crowns." asked about a
    price and found as "sells for 45 crowns" gives "45 crowns".
    """
    words = normalised(answer).split()
    text = normalised(document)
    asked = {_strip_suffix(word) for word in normalised(question).split()}
    best: list[str] = []
    start = 0
    while start < len(words):
        end = _find_run_end(words, start, text=text)
        trimmed = _trim_unspaced(_trim(words[start:end], asked), question)
        if len(trimmed) > len(best) or (len(trimmed) == len(best) and not is_unspaced("".join(trimmed))):
            best = trimmed or best
        start = max(end, start + 1)
    return joined(" ".join(best))


def is_about(question: str, document: str) -> bool:
    """Return whether `question` names something of the document, so that it can be asked with the book closed.

    A name or number of it does, or MIN_ROOTS other words where the question names nothing else.
    """
    if _find_subject_words(document) & _find_subject_words(question):
        return True
    if names_others(question, words_in(document)):
        return False
    known = roots(document)
    return sum(root in known or _has_stem(root, known) for root in roots(question) - FUNCTION_WORDS) >= MIN_ROOTS


def words_in(text: str) -> set[str]:
    """Return the words of `text` in lower case."""
    return {word.casefold() for word in _WORD.findall(text)}


def names_others(question: str, said: set[str]) -> bool:
    """Return whether `question` has a name that is none of the words `said`, endings aside."""
    return any(name.casefold() not in said and not _has_stem(name.casefold(), said) for name in names(question))


def subjects_of(text: str) -> tuple[str, ...]:
    """Return the names in `text` (runs of capitalised words inside sentences), most frequent first.

    At most MAX_SUBJECTS: each is looked for in the whole text.
    """
    runs = Counter(_CAPITALISED_RUN.findall(text))
    counts = {name: text.count(name) for name, _ in runs.most_common(MAX_SUBJECTS)}
    return tuple(sorted(counts, key=lambda name: (-counts[name], text.index(name))))


def subject_of(line: str, subjects: Iterable[str]) -> str:
    """Return the most frequent of `subjects` that `line` names; "" when it names none."""
    return next((name for name in subjects if name in line), "")


def topic_of(title: str, subjects: Iterable[str]) -> str:
    """Return what a document is about: the subjects that its title names, or the title."""
    named = sorted((name for name in subjects if name in title), key=title.index)
    return " and ".join(named) or title


def _begins_sentence(text: str, place: int) -> bool:
    """Whether a sentence, a line or a point of a list begins at `place`."""
    end = _before_spaces(text, place)
    if end == 0 or "\n" in text[end:place] or (end < place and text[end - 1] in ".!?:"):
        return True
    is_point = end < place and text[end - 1] in "-*•"
    return is_point and "\n" in text[_before_spaces(text, end - 1) : end]


def _before_spaces(text: str, place: int) -> int:
    while place and text[place - 1].isspace():
        place -= 1
    return place


def _has_stem(word: str, known: set[str]) -> bool:
    """Whether another ending of `word` is known: all but its last two letters, four at least, or two of Hangul."""
    least = 2 if "가" <= word[:1] <= "힣" else 4
    stem = word[: max(least, len(word) - 2)]
    return len(stem) >= least and any(other.startswith(stem) and abs(len(other) - len(word)) <= 3 for other in known)


def _is_known(date: _Date, dates: set[_Date], numbers: set[str]) -> bool:
    """Whether `date` is one of `dates`; where only one of the two has a year, the year must stand somewhere."""
    year, *day = date
    same_day = [known for known, *rest in dates if rest == day]
    return any(known == year or not year or (not known and year in numbers) for known in same_day)


def _find_dates(text: str) -> list[tuple[_Date, str]]:
    """Return every date in `text` with its words."""
    found: list[tuple[_Date, str]] = []
    for match in _DATE.finditer(text):
        part = match.groupdict()
        month = part["m1"] or part["m2"]
        number = int(part["m0"]) if part["m0"] else _MONTHS.index(month[:3].casefold()) + 1
        day = int(part["d0"] or part["d1"] or part["d2"])
        found.append(((part["y0"] or part["y1"] or part["y2"] or "", number, day), match[0]))
    return found


def has_number(text: str) -> bool:
    """Return whether a number stands in `text`."""
    return _NUMBER.search(text) is not None


def roots(text: str) -> set[str]:
    """Return the roots of the words in `text` that mean something by themselves; pairs of letters where a script sets
    no words off.
    """
    words = normalised(text).split()
    single = {_strip_suffix(word) for word in words if word not in _EMPTY_WORDS and not is_unspaced(word)}
    return single | {f"{one}{other}" for one, other in pairwise(words) if is_unspaced(one) and is_unspaced(other)}


def _find_subject_words(text: str) -> set[str]:
    capitalised = {word for word in _WORD.findall(text) if word[0].isupper() and word.casefold() not in _EMPTY_WORDS}
    return capitalised | set(_NUMBER.findall(text))


def _find_run_end(words: list[str], start: int, *, text: str) -> int:
    end = start
    while end < len(words) and stands_in(" ".join(words[start : end + 1]), text):
        end += 1
    return end


def _trim(run: list[str], asked: set[str]) -> list[str]:
    def says_nothing(word: str) -> bool:
        return word in _EMPTY_WORDS or (_strip_suffix(word) in asked and not is_unspaced(word))

    while run and says_nothing(run[0]):
        run = run[1:]
    while run and says_nothing(run[-1]):
        run = run[:-1]
    return run


def _trim_unspaced(run: list[str], question: str) -> list[str]:
    """Return the run without what the question says at its ends, two letters or more, where no words are set off."""
    asked = normalised(question)
    for is_front in (True, False):
        edge = 0
        while edge < len(run) and is_unspaced("".join(run)) and " ".join(_edge(run, edge + 1, is_front)) in asked:
            edge += 1
        if edge > 1:
            run = run[edge:] if is_front else run[: len(run) - edge]
    return run


def _edge(run: list[str], size: int, is_front: bool) -> list[str]:
    return run[:size] if is_front else run[len(run) - size :]


def _strip_suffix(word: str) -> str:
    return _SUFFIX.sub("", word) if len(word) > 3 else word
