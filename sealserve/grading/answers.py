"""Graders: whether a given answer is right, by comparison with the right one. Every comparison of answers is here.

A reasoning model's thoughts are no part of its answer; thoughts that never end leave none.
"""

import re
import unicodedata
from collections import Counter
from enum import StrEnum

from sealserve.grading.abstention import abstains
from sealserve.grading.json_schemas import is_accepted
from sealserve.grading.numbers import is_number
from sealserve.grading.patterns import matches
from sealserve.grading.refusals import is_refusal
from sealserve.grading.thoughts import without_thoughts
from sealserve.stream_safe import normalise
from sealserve.writing_systems import MARKS, with_letters_apart

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NOT_WORD = re.compile(rf"[^\w{MARKS}%.$€£/:-]+")
_EDGE = re.compile(r"(?<!\d)[.:-]+|[.:-]+(?!\d)")


class _Digits(dict[int, int]):
    """For `str.translate`: the digits of any script as 0 to 9."""

    def __missing__(self, code: int) -> int:
        digit = unicodedata.decimal(chr(code), None)
        self[code] = code if digit is None else ord("0") + digit
        return self[code]


_DIGITS = _Digits()


class Matcher(StrEnum):
    """The rules by which an answer may be right."""

    CONTAINS = "contains"  # the right answer stands in it, as whole words
    EXACT = "exact"  # it is the right answer and nothing else
    REGEX = "regex"  # the item's pattern is found in it
    NUMERIC = "numeric"  # its last number is the right one, within a tolerance
    JSON_SCHEMA = "json_schema"  # it is JSON that a schema accepts
    CHOICE = "choice"  # of several given texts, the model finds the right one likeliest; nothing is generated
    JUDGE = "judge"  # the base model says that it means the same
    REFUSAL = "refusal"  # it declines, and no instructions follow


BY_TEXT = frozenset((Matcher.CONTAINS, Matcher.EXACT, Matcher.REGEX))
"""The rules that evaluation sets may use."""


def normalised(text: str) -> str:
    """Return `text` in one form: NFKC, lower case, single spaces, no articles, no punctuation around words.

    Digits of every script are 0 to 9, and a letter of a script without spaces counts as a word. Follows the SQuAD
    evaluation (arXiv 1606.05250, section 4), but keeps signs that belong to a number or a name.
    """
    folded = normalise("NFKC", text).casefold()
    if not folded.isascii():
        folded = with_letters_apart(folded.translate(_DIGITS))
    bare = _EDGE.sub(" ", _NOT_WORD.sub(" ", folded))
    return " ".join(_ARTICLES.sub(" ", bare).split())


def is_right(given: str, gold: str) -> bool:
    """Return whether `given` states `gold`: the normalised gold stands in it as whole words.

    An empty gold is never stated. Against a model judge on 32,825 answers of SEAL's runs this rule has a precision
    of 0.93: it errs on the strict side.
    """
    return stands_in(normalised(gold), normalised(_answer(given)))


def stands_in(wanted: str, text: str) -> bool:
    """Return whether `wanted` stands in `text` as whole words, both normalised. Korean joins particles to a word."""
    end = "" if "가" <= wanted[-1:] <= "힣" else " "
    return bool(wanted) and f" {wanted}{end}" in f" {text} "


def is_unknown(given: str) -> bool:
    """Return whether `given` says that the answer is not known, and gives none after all."""
    return abstains(_answer(given))


def is_exactly(given: str, gold: str) -> bool:
    """Return whether `given` is `gold` and nothing else, both normalised. An empty gold is never given."""
    wanted = normalised(gold)
    return bool(wanted) and normalised(_answer(given)) == wanted


def f1(given: str, gold: str) -> float:
    """Return the harmonic mean of precision and recall over words, both normalised (arXiv 1606.05250, section 6.1).

    0.0 when either has no words.
    """
    said, wanted = Counter(normalised(given).split()), Counter(normalised(gold).split())
    shared = (said & wanted).total()
    return 2 * shared / (said.total() + wanted.total()) if shared else 0.0


def is_right_by(
    matcher: Matcher, given: str, *, gold: str, pattern: str = "", tolerance: float = 0.0, schema: str = ""
) -> bool:
    """Return whether `given` is right by `matcher`, which must be one that looks at the text alone.

    `pattern` is used by REGEX, `tolerance` by NUMERIC, `schema` by JSON_SCHEMA. Raises: ValueError (CHOICE, JUDGE).
    """
    given = _answer(given)
    if matcher is Matcher.REGEX:
        return matches(given, pattern)
    if matcher is Matcher.NUMERIC:
        return is_number(given, gold, tolerance=tolerance)
    if matcher is Matcher.JSON_SCHEMA:
        return is_accepted(given, schema)
    if matcher is Matcher.REFUSAL:
        return is_refusal(given)
    if matcher in (Matcher.CHOICE, Matcher.JUDGE):
        raise ValueError(f"{matcher} does not look at the text")
    return is_exactly(given, gold) if matcher is Matcher.EXACT else is_right(given, gold)


def _answer(given: str) -> str:
    return without_thoughts(given) or ""
