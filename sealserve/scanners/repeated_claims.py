"""What a text keeps saying: two words far from each other that stand together in a large part of its sentences.

A series brings a new value each time. A flood in other words says one value of one thing again, in one document after
the other; the pair of the two is what stays.
"""

from collections import Counter
from itertools import combinations

from sealserve.scanners.table_rows import split_rows
from sealserve.writing_systems import FUNCTION_WORDS, is_unspaced, sentences_of, words_of

MIN_SHARE = 0.3
"""Share of a text's sentences that hold the pair."""

MIN_SENTENCES = 2
_MAX_SENTENCES, _MAX_WORDS = 60, 40
"""What is looked at of a text, and of a sentence: a text that keeps saying something says it early."""

_APART, _APART_UNSPACED = 2, 4
"""Words, or letters of a script without spaces, between the two: nearer ones are one name."""

Claim = frozenset[str]


def claims_of(text: str) -> frozenset[Claim]:
    """Return the pairs of words that most of the sentences are about; rows of tables are no sentences."""
    _, prose = split_rows(text)
    counts: Counter[Claim] = Counter()
    sentences = [one for one in sentences_of(prose)[:_MAX_SENTENCES] if not one.startswith("#")]
    for sentence in sentences:
        counts.update(_pairs(sentence))
    least = max(MIN_SENTENCES, MIN_SHARE * len(sentences))
    return frozenset(pair for pair, count in counts.items() if count >= least)


def _pairs(sentence: str) -> set[Claim]:
    apart = _APART_UNSPACED if is_unspaced(sentence) else _APART
    places: dict[str, int] = {}
    for place, word in enumerate(words_of(sentence)):
        if word not in FUNCTION_WORDS and len(places) < _MAX_WORDS:
            places.setdefault(word, place)
    return {
        frozenset((one, other)) for one, other in combinations(places, 2) if abs(places[one] - places[other]) > apart
    }
