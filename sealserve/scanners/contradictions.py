"""Compares two documents by their words alone: does one repeat or contradict the other?

No model is asked, so only plain denials are found: another number of the same unit, or other words where a known
sentence has its value. The cycle's own reading (`learning/study/supersession.py`) finds the others.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile, islice, takewhile

from sealserve.writing_systems import words_of

MAX_SUBJECTS = 12
MAX_SPAN = 3
"""Words that a changed value may have."""

MIN_FRAME = 3
"""Words, the subject counting as one, that two sentences must share around a changed value."""

MAX_STATEMENTS = 4_000
MAX_COMPARED_WORDS = 2_000_000
MAX_DENIALS = 200
"""Bounds of one comparison, which is quadratic in what two texts say of one subject: a few seconds at most."""

_RUN = re.compile(r"[A-Z][\w’'-]*(?: [A-Z0-9][\w’'-]*)*")
_WORD = re.compile(r"[^\W_]+(?:[’'-][^\W_]+)*")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_LABEL = re.compile(r"^(?:[A-Z]\w+(?: \w+)?:\s+)+")
_QUANTITY = re.compile(r"(?<![\w.,-])(\d+(?:[.,]\d+)*)\s+([a-z]+|%|€|\$)")
_COMMON = frozenset(
    """a an and are as at be been but by can did do does for from had has have he her his how i if in into is it its
    more most no nor not of on one or our she so some than that the their them then there these they this those to too
    us was we were what when where which who whom whose why with would you your say says said know knows known people
    list lists listed chosen usual about note news report notice summary briefly today bulletin new old update
    """.split()
)
_SUBJECT = "\0"
_SUBJECT_OR_WORD = re.compile(rf"{_SUBJECT}|{_WORD.pattern}")
_JOINING = frozenset("at by for from in of on to with".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A document held already, and where it came from."""

    origin: str
    text: str


def origin_of(source: str) -> str:
    """Return the origin of a source: the host of an address, the folder of a file, or the source itself.

    Two files of one folder are one origin, as are two pages of one site.
    """
    scheme, colon, rest = source.partition(":")
    if not colon:
        return source
    if rest.startswith("//"):
        return f"{scheme}://{rest[2:].partition('/')[0].lower()}"
    folder, slash, _ = rest.rpartition("/")
    return f"{scheme}:{folder if slash else ''}"


def subjects_of(title: str, text: str) -> tuple[str, ...]:
    """Return what a document is about: its title without common words, and the names of several words in it.

    A name of one word counts from three occurrences on. At most MAX_SUBJECTS, lower case, most frequent first.
    """
    runs = Counter(name for found in _RUN.finditer(text) if (name := _name(found[0])))
    names = [name for name, n in runs.most_common() if " " in name or n >= 3]
    own = " ".join(word for word in _words(title) if word not in _COMMON)
    return tuple(dict.fromkeys([*([own] if own else []), *names]))[:MAX_SUBJECTS]


def meaning_words(text: str) -> set[str]:
    """Return the words of `text` that mean something by themselves, in lower case, whatever its script."""
    return {word for word in words_of(text) if word not in _COMMON}


def overlap(one: set[str], other: set[str]) -> float:
    """Return which share of the smaller set the other has, too (overlap coefficient)."""
    return len(one & other) / max(1, min(len(one), len(other)))


def contradicted(text: str, known: Sequence[Known], *, origin: str, subjects: Iterable[str]) -> int:
    """Return how many origins agree on something that `text` contradicts; 0 if it contradicts nothing.

    An origin that contradicts its own earlier text corrects itself, and a text that also states the old value adds to
    it; neither counts. Only the first MAX_STATEMENTS statements and the first MAX_COMPARED_WORDS words of them are
    compared.
    """
    folded = text.casefold()
    about = [subject for subject in subjects if subject in folded]
    mine = list(islice(_statements(text, about), MAX_STATEMENTS))
    own = [(origin, one) for one in mine]
    told = [(one.origin, said) for one in known for said in islice(_statements(one.text, about), MAX_STATEMENTS)]
    counts = [0]
    for subject, value, beside in islice(_replaced(mine, [said for _, said in told]), MAX_DENIALS):
        agreeing = _origins(told, subject, value)
        is_said = bool(_origins(own, subject, value))
        is_value = len(agreeing) > len(_origins(told, subject, beside))
        if is_value and not is_said and origin not in agreeing:
            counts.append(len(agreeing))
    return max(counts)


@dataclass(slots=True)
class _Statement:
    """A sentence about a subject, as words; `values` are its numbers by unit, `meaning` as `_meaning` gives it."""

    subject: str
    words: tuple[str, ...]
    different_words: frozenset[str]
    values: Mapping[str, frozenset[str]]
    meaning: Mapping[str, str]


def _origins(told: Sequence[tuple[str, _Statement]], subject: str, words: frozenset[str]) -> set[str]:
    """Return the origins that have all of `words` in one sentence on the subject; none if `words` is empty."""
    return {who for who, one in told if words and one.subject == subject and words <= one.different_words}


def _replaced(
    mine: Sequence[_Statement], told: Sequence[_Statement]
) -> Iterable[tuple[str, frozenset[str], frozenset[str]]]:
    """Return the subject, the words told of it in whose place others stand now, and the words beside them.

    Either may be the value and the other its name ("the trade is nurse", "the job is nurse"): more sources agree on
    the value than on one name for it.
    """
    found: dict[tuple[str, frozenset[str], frozenset[str]], None] = {}
    for subject in {one.subject for one in mine}:
        now, before = _numbers(mine, subject), _numbers(told, subject)
        for unit in now.keys() & before.keys():
            if len(before[unit]) == 1 and not now[unit] & before[unit]:
                found[(subject, frozenset({*before[unit], unit}), frozenset[str]())] = None
    for old, new in _neighbours(mine, told):
        if gone := _old_words(new, old):
            found[(old.subject, gone, frozenset(_shared(old.meaning, new.meaning)))] = None
    return found


def _neighbours(mine: Sequence[_Statement], told: Sequence[_Statement]) -> Iterator[tuple[_Statement, _Statement]]:
    """Yield the pairs that may be one sentence with another value: one subject, and about as many words that mean
    something. Ends after MAX_COMPARED_WORDS words.
    """
    by_length: dict[tuple[str, int], list[_Statement]] = defaultdict(list)
    for new in mine:
        by_length[new.subject, len(new.meaning)].append(new)
    words = 0
    for old in told:
        for difference in range(-MAX_SPAN, MAX_SPAN + 1):
            for new in by_length.get((old.subject, len(old.meaning) + difference), ()):
                words += len(old.words) + len(new.words)
                if words > MAX_COMPARED_WORDS:
                    return
                yield old, new


def _numbers(statements: Sequence[_Statement], subject: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for one in statements:
        if one.subject == subject:
            for unit, values in one.values.items():
                found[unit] |= values
    return found


def _statements(text: str, about: Sequence[str]) -> Iterator[_Statement]:
    """Yield every sentence on one of `about`; a sentence that names none continues the last subject."""
    last = ""
    for sentence in _SENTENCE.split(text):
        plain = _LABEL.sub("", sentence)
        folded = plain.casefold()
        subject = next((one for one in about if one in folded), "") or last
        last = subject
        if not subject:
            continue
        rest = folded.replace(subject, f" {_SUBJECT} ")
        quantities: dict[str, set[str]] = defaultdict(set)
        for number, unit in _QUANTITY.findall(rest):
            quantities[unit].add(number)
        words = tuple(_SUBJECT_OR_WORD.findall(rest))
        values = {unit: frozenset(numbers) for unit, numbers in quantities.items()}
        yield _Statement(subject, words, frozenset(words), values, _meaning(words))


def _old_words(new: _Statement, old: _Statement) -> frozenset[str]:
    """Return the words of `old` in whose place `new` has others; nothing if the two do not speak of one thing.

    They do when they are one sentence but for a short span, or share as many words that mean something as they differ.
    """
    gone, come = old.meaning.keys() - new.meaning.keys(), new.meaning.keys() - old.meaning.keys()
    if not gone or not come or max(len(gone), len(come)) > MAX_SPAN:
        return frozenset()
    is_same_thing = len(_shared(new.meaning, old.meaning)) >= max(len(gone), len(come))
    return frozenset(gone) if is_same_thing or _is_one_sentence(new.words, old.words) else frozenset()


def _meaning(words: tuple[str, ...]) -> dict[str, str]:
    """Return the words that mean something, each with what joins it to a word that follows: "made" with "by"."""
    return {
        word: after if after in _JOINING and then not in ("", _SUBJECT) else ""
        for word, after, then in zip(words, (*words[1:], ""), (*words[2:], "", ""), strict=False)
        if word not in _COMMON and word != _SUBJECT
    }


def _shared(mine: Mapping[str, str], theirs: Mapping[str, str]) -> set[str]:
    """Return the words that both have and do not join otherwise: "made by" is not "made of"."""
    return {word for word in mine.keys() & theirs.keys() if len({mine[word], theirs[word]} - {""}) <= 1}


def _is_one_sentence(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether the two differ in one span alone, of words that mean something."""
    head = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    left, right = one[head:], other[head:]
    tail = sum(1 for _ in takewhile(lambda p: p[0] == p[1], zip(reversed(left), reversed(right), strict=False)))
    spans = left[: len(left) - tail], right[: len(right) - tail]
    is_plain = all(0 < len(span) <= MAX_SPAN and not _COMMON & set(span[1:]) for span in spans)
    same_start = {word for span in spans for word in span[:1] if word in _COMMON} <= {"a", "an", "the"}
    return is_plain and same_start and _SUBJECT in one and head + tail >= MIN_FRAME


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _name(run: str) -> str:
    """Return a run of capitalised words without the common word that a sentence begins with; "" if nothing is left."""
    return " ".join(dropwhile(lambda word: word.casefold() in _COMMON, run.split())).casefold()
