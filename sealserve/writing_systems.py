"""Sentences and words of a text in any script. Pure.

Scripts that put no spaces between words have no words here but runs of two and three characters, which serve to compare
texts.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Thai, Lao, Burmese, Khmer, Kana and Han, as the members of a character set."""

_THAI = "\u0e00-\u0eff"
MARKS = (
    "\u0300-\u036f\u0591-\u05c7\u064b-\u0652\u0670\u0900-\u0903\u093a-\u094f\u0962\u0963\u0981-\u0983\u09bc-\u09cd"
    "\u0a01-\u0a03\u0a3c-\u0a51\u0a81-\u0a83\u0abc-\u0acd\u0b01-\u0b03\u0b3c-\u0b57\u0b82\u0bbe-\u0bcd\u0c00-\u0c04"
    "\u0c3e-\u0c56\u0c81-\u0c83\u0cbc-\u0cd6\u0d00-\u0d03\u0d3b-\u0d4d\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc"
    "\u0ec8-\u0ece\u102b-\u103e\u17b4-\u17d3\u200c\u200d"
)
"""Vowel signs, points and joiners of Hebrew, Arabic, Indic and South-East Asian scripts, as the members of a character
set: they belong to the word, though Python's `\\w` does not take them."""

_SENTENCE_END = re.compile(r"(?<=[.!?؟।॥])\s+|(?<=[。！？])\s*|\n+")
_THAI_PAUSE = re.compile(rf"(?<=[{_THAI}]) +(?=[{_THAI}])")
_LETTER = rf"(?![{UNSPACED}])[^\W_]"
_PIECE = re.compile(rf"[{UNSPACED}]+|{_LETTER}(?:{_LETTER}|[{MARKS}]|['’.,:-](?=[^\W_]))*")
_IS_UNSPACED = re.compile(rf"[{UNSPACED}]")
_CLUSTER = re.compile(rf"[{UNSPACED}][{MARKS}]*")
_IN_WORDS = 1.5
"""Letters of a script without spaces that say about as much as a word."""

_LANGUAGES = {
    "CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean", "DEVANAGARI": "Hindi",
    "THAI": "Thai", "ARABIC": "Arabic", "HEBREW": "Hebrew", "CYRILLIC": "Cyrillic script", "GREEK": "Greek",
}  # fmt: skip
_CYRILLIC = _LANGUAGES["CYRILLIC"]
_SAMPLE = 2000
_LEAST_SHARE = 0.1
"""Of all words that are function words, in running text of the languages below."""


def sentences_of(text: str) -> list[str]:
    """Return the sentences and lines of `text`, to compare texts by: the stop of an abbreviation ends one as well."""
    whole = [part for part in _SENTENCE_END.split(text) if part and part.strip()]
    return [part for sentence in whole for part in at_thai_pauses(sentence)]


def at_thai_pauses(text: str) -> list[str]:
    """Return the parts of `text` between the spaces that stand between Thai words: they end a sentence there."""
    return _THAI_PAUSE.split(text)


def words_of(text: str) -> Iterator[str]:
    """Yield the words of `text` in lower case; runs of two characters where a script does not set words off."""
    for found in _PIECE.finditer(text.casefold()):
        piece = found[0]
        if not _IS_UNSPACED.match(piece) or len(piece) < 2:
            yield piece
        else:
            yield from (piece[at : at + 2] for at in range(len(piece) - 1))


def with_letters_apart(text: str) -> str:
    """Return `text` with a space around each letter of a script without spaces: each counts as a word then."""
    return _CLUSTER.sub(lambda found: f" {found[0]} ", text) if _IS_UNSPACED.search(text) else text


def joined(words: str) -> str:
    """Return what `with_letters_apart` made of a text as it is written."""
    return _APART.sub("", words)


_APART = re.compile(rf"(?<=[{UNSPACED}]) +(?=[{UNSPACED}])|(?<=[{MARKS}]) +(?=[{UNSPACED}])")


def is_unspaced(text: str) -> bool:
    """Return whether letters of a script without spaces between words stand in `text`."""
    return _IS_UNSPACED.search(text) is not None


def count_words(text: str) -> int:
    """Return how many words `text` has; _IN_WORDS letters count as one where words are not set off."""
    letters = len(_CLUSTER.findall(text))
    return len(_CLUSTER.sub(" ", text).split()) + int(letters / _IN_WORDS) if letters else len(text.split())


def language_of(text: str) -> str:
    """Return the language, or the script, that `text` is mostly written in; "" if that cannot be told."""
    sample = text[:_SAMPLE]
    names = [unicodedata.name(one, "").partition(" ")[0] for one in sample if one.isalpha()]
    counts = Counter(_LANGUAGES.get(name, "") for name in names)
    if counts["Japanese"] and counts["Chinese"]:
        counts["Japanese"] += counts.pop("Chinese")
    script = counts.most_common(1)[0][0] if counts else ""
    return script if script and script != _CYRILLIC else _language_by_words(sample) or script


def _language_by_words(text: str) -> str:
    """Return the language whose function words `text` has most of; "" if there are too few, or as many of another."""
    words = [_plain(word) for word in words_of(text)]
    counts = Counter({name: sum(word in known for word in words) for name, known in FUNCTION_WORDS_OF.items()})
    (name, most), (_, next_most) = counts.most_common(2)
    return name if most > next_most and most >= max(2, _LEAST_SHARE * len(words)) else ""


def _plain(word: str) -> str:
    """Return the word without accents and umlauts, as FUNCTION_WORDS has them."""
    return "".join(one for one in unicodedata.normalize("NFD", word) if not unicodedata.combining(one))


def meaning_words(text: str) -> Iterator[str]:
    """Yield the words of `text` without those that only join others, in the languages of FUNCTION_WORDS."""
    return (word for word in words_of(text) if word not in FUNCTION_WORDS)


FUNCTION_WORDS_OF = {
    language: frozenset(words.split())
    for language, words in {
        "English": """
            a an and are as at be been but by can could did do does for from had has have he her here him his how i if
            in into is it its may me more most my no nor not of off on once one or our out over own shall she should so
            some such than that the their them then there these they this those to too under until up us was we were
            what when where which while who whom whose why will with would you your
        """,
        "German": """
            aber als am an auf aus bei bis das dass dem den der des die doch durch ein eine einem einen einer eines er
            es fur hat im in ist kein mit nach nicht noch nur oder sein sich sie sind so uber um und uns unter vom von
            vor war was wenn wer wie wir wird zu zum zur
        """,
        "French": """
            au aux avec ce ces cette dans de des du elle en est et il ils la le les leur lui mais ne nous on ou par pas
            plus pour qu que qui sa se ses son sont sur un une vous
        """,
        "Spanish": """
            al como con cual de del el ella en entre era es esta este la las le lo los mas mi muy no nos o para pero
            por que se sin sobre son su sus un una y
        """,
        "Italian": """
            alla che chi con da dal dei del della delle di e gli il in la le lo ma nel non per piu si sono su tra un una
        """,
        "Portuguese": "ao aos as com da das do dos e em mais na nas no nos o os ou para pela pelo por que se um uma",
        "Russian": """
            а без бы в во для до его ее если же за и из или их к как ко мы на не но о об он она они от по при с со так
            то у что это я
        """,
    }.items()
}
FUNCTION_WORDS = frozenset(word for words in FUNCTION_WORDS_OF.values() for word in words)
"""Words that mean nothing by themselves."""
