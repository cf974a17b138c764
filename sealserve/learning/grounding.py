"""Does a study note stand on its document? Pure text comparison, no model.

Numbers and names must occur in the document; an answer must contain words that stand there and are not already in
the question. Knows nothing of truth: a note may still join a right name to another's value, which the open-book
check of the filter is for.
"""

import re

from sealserve.gate.grade import normalised

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_SENTENCE_START = re.compile(r"(?:^|[.!?:]\s+|\n\s*(?:[-*•]\s+)?)$")
_SUFFIX = re.compile(r"(?:ing|ed|es|s|e)$")
_EMPTY_WORDS = frozenset(
    """a an and are as at be been but by can did do does for from had has have he her his how i if in into is it its
    more most no nor not of on one or she so some than that the their them then there these they this those to too
    us was we were what when where which who whom whose why with would you your""".split()
)  # fmt: skip


def ungrounded(note: str, document: str) -> str:
    """Return the first number or name in `note` that the document does not have; "" when it has them all.

    A word counts as a name when it is capitalised inside a sentence.
    """
    numbers = set(_NUMBER.findall(document))
    stray = next((number for number in _NUMBER.findall(note) if number not in numbers), "")
    if stray:
        return stray
    known = {word.casefold() for word in _WORD.findall(document)}
    return next((name for name in names(note) if name.casefold() not in known), "")


def names(text: str) -> list[str]:
    """Return the capitalised words of `text` that do not begin a sentence, in order."""
    return [
        found[0]
        for found in _WORD.finditer(text)
        if found[0][0].isupper() and found[0] != "I" and not _SENTENCE_START.search(text, 0, found.start())
    ]


def answer_span(answer: str, *, question: str, document: str) -> str:
    """Return the words of `answer` that answer: the run that stands in the document, without the question's words.

    "" when there is none: then the answer does not stand in the document. "The price is 45 crowns." asked about a
    price and found as "sells for 45 crowns" gives "45 crowns".
    """
    words = normalised(answer).split()
    text = f" {normalised(document)} "
    asked = {_root(word) for word in normalised(question).split()}
    best: list[str] = []
    start = 0
    while start < len(words):
        end = _run_end(words, start, text=text)
        trimmed = _trimmed(words[start:end], asked)
        if len(trimmed) >= len(best):
            best = trimmed or best
        start = max(end, start + 1)
    return " ".join(best)


def is_about(question: str, document: str) -> bool:
    """Return whether `question` names something of the document, so that it can be asked with the book closed."""
    return bool(_subjects(document) & _subjects(question))


def _subjects(text: str) -> set[str]:
    capitalised = {word for word in _WORD.findall(text) if word[0].isupper() and word.casefold() not in _EMPTY_WORDS}
    return capitalised | set(_NUMBER.findall(text))


def _run_end(words: list[str], start: int, *, text: str) -> int:
    end = start
    while end < len(words) and f" {' '.join(words[start : end + 1])} " in text:
        end += 1
    return end


def _trimmed(run: list[str], asked: set[str]) -> list[str]:
    def says_nothing(word: str) -> bool:
        return word in _EMPTY_WORDS or _root(word) in asked

    while run and says_nothing(run[0]):
        run = run[1:]
    while run and says_nothing(run[-1]):
        run = run[:-1]
    return run


def _root(word: str) -> str:
    return _SUFFIX.sub("", word) if len(word) > 3 else word
