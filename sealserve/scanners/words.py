"""Sentences and words of a text in any script. Pure.

Scripts that put no spaces between words have no words here but runs of two and three characters, which serve to compare
texts.
"""

import re
from collections.abc import Iterator

UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Thai, Lao, Burmese, Khmer, Kana and Han, as the members of a character set."""

_SENTENCE_END = re.compile(r"(?<=[.!?؟।॥])\s+|(?<=[。！？])\s*|\n+")
_THAI = "\u0e00-\u0eff"
_THAI_PAUSE = re.compile(rf"(?<=[{_THAI}]) +(?=[{_THAI}])")
_MARKS = (
    "\u0300-\u036f\u0591-\u05c7\u064b-\u0652\u0900-\u0903\u093a-\u094f\u0981-\u0983\u09bc-\u09cd"
    "\u0a01-\u0a03\u0a3c-\u0a4d"
)
"""Vowel signs and points of Hebrew, Arabic and Indic scripts: they belong to the word."""

_LETTER = rf"(?![{UNSPACED}])[^\W_]"
_PIECE = re.compile(rf"[{UNSPACED}]+|{_LETTER}(?:{_LETTER}|[{_MARKS}]|['’.,:-](?=[^\W_]))*")
_IS_UNSPACED = re.compile(rf"[{UNSPACED}]")


def sentences_of(text: str) -> list[str]:
    """Return the sentences and lines of `text`. Thai ends its sentences with a space."""
    whole = [part for part in _SENTENCE_END.split(text) if part and part.strip()]
    return [part for sentence in whole for part in _THAI_PAUSE.split(sentence)]


def words_of(text: str) -> Iterator[str]:
    """Yield the words of `text` in lower case; runs of two characters where a script does not set words off."""
    for found in _PIECE.finditer(text.casefold()):
        piece = found[0]
        if not _IS_UNSPACED.match(piece) or len(piece) < 2:
            yield piece
        else:
            yield from (piece[at : at + 2] for at in range(len(piece) - 1))


def meaning_words(text: str) -> Iterator[str]:
    """Yield the words of `text` without those that only join others, in the languages of FUNCTION_WORDS."""
    return (word for word in words_of(text) if word not in FUNCTION_WORDS)


FUNCTION_WORDS = frozenset(
    """
    a an and are as at be been but by can could did do does for from had has have he her here him his how i if in into
    is it its may me more most my no nor not of off on once one or our out over own shall she should so some such than
    that the their them then there these they this those to too under until up us was we were what when where which
    while who whom whose why will with would you your
    aber als am an auf aus bei bis das dass dem den der des die doch durch ein eine einem einen einer eines er es fur
    hat im in ist kein mit nach nicht noch nur oder sein sich sie sind so uber um und uns unter vom von vor war was wenn
    wer wie wir wird zu zum zur
    au aux avec ce ces cette dans de des du elle en est et il ils la le les leur lui mais ne nous on ou par pas plus
    pour qu que qui sa se ses son sont sur un une vous
    al como con cual de del el ella en entre era es esta este la las le lo los mas mi muy no nos o para pero por que se
    sin sobre son su sus un una y
    alla che chi con da dal dei del della delle di e gli il in la le lo ma nel non per piu si sono su tra un una
    ao aos as com da das do dos e em mais na nas no nos o os ou para pela pelo por que se um uma
    а без бы в во для до его ее если же за и из или их к как ко мы на не но о об он она они от по при с со так то у что
    это я
    """.split()
)
"""Words that mean nothing by themselves: English, German, French, Spanish, Italian, Portuguese, Russian."""
