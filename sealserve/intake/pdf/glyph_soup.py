"""Text whose letters are not those that the page shows: fonts that do not say which letter a glyph is."""

import re
import unicodedata

MOST_UNKNOWN = 0.1
"""The share of characters that may be unmapped, private, or no characters at all: bullets and signs of symbol fonts."""

_LEAST_WORDS = 10
_LEAST_LETTERS = 50
_MOST_WORDS = 5000  # enough to be sure
_WORD = re.compile(r"[^\W\d_]{2,24}")
_GLYPH_NAME = re.compile(r"(?:/(?:g|G|c|C|cid|glyph|uni)[0-9A-Fa-f]{1,5}){3,}|(?:\(cid:[0-9]+\)){3,}")

LARGEST_NATS = 6.8
"""Measured on catalogues of messages in 101 languages, 12 to 100 words at a time: honest text 5.2 to 6.8 (Welsh), with
its letters shifted or shuffled 6.9 to 8.5 in 95 of 100 cases. Source code stays below 6.5."""

_ALPHABET = " abcdefghijklmnopqrstuvwxyz"
_LEAST_COST, _COST_STEP = 2.5, 0.3
_PAIRS = """
    t8889ab9bac8979a7ga78cadjgd
    4dbbahgcdbeb796fck688cbhjdd
    halrqbtomcmqfqmcptdmocrptkq
    f9siqbqoabofhokanpfjgeqttnk
    bannk9nkkajkjlialtfhodllrki
    6dfccehdhdhd9b7iej78ahdifgf
    iftqogioqeqrjsqeoshmkitrtqt
    canpjcpkfdnmhmhblrejgcpmqiq
    caqqkctsnbmoilkcsqhkhenntkt
    79eacbgdhfecab7ceja9agdkjie
    hbpqmbsrqfqoonlgqtoknfostqq
    c9nmncoofbrhgnjaltfegdmkths
    a8ikg9khj8fichhakrohecinthl
    c7donaoombmnkikberoilepoqlo
    78kda9j9i8egiifbnrod9djnpfh
    7geeciiegfgdab8fem8acbbgmjf
    farjqcpohdqofrnbhobjheotslt
    ljtttptqtotttttorqrrsettttt
    97ggd7lei8ifgee9jpfdcchlpgi
    79lem9mnd9lceiicepjc8ciktif
    97nin8lod9lggjh9mtbedbjntfp
    acefedifidhebcbhfnabchhmkkf
    g9qkpbsoqboojridqtijpirqtho
    idsqqgqsqgtqotmjstlmqptttlq
    hjonpkotsittprtnltttjpttqrs
    bdmjlhrmmiojjijfjtjhhilqtmm
    fbmnkdtlmdnlklhfntnlkhlqtll
"""
"""The cost of each pair of letters (row: the first, column: the second; a blank for a word's ends): -ln of its share
among the pairs of twenty languages' words, in steps of _COST_STEP from _LEAST_COST, as digits of base 36. Counted in
translations of free programs: en de fr es it pt nl pl cs sv fi tr hu ro id vi hr lt et sw, each of the same weight."""

_COSTS = {
    first: {second: _LEAST_COST + _COST_STEP * int(digit, 36) for second, digit in zip(_ALPHABET, row, strict=True)}
    for first, row in zip(_ALPHABET, _PAIRS.split(), strict=True)
}


def without_unknown(text: str) -> tuple[str, int]:
    """Return `text` without the characters of which no reader of the text alone can say what they are, and their
    number: private ones, which mean something in one font only, and fillers.
    """
    if text.isascii() and text.isprintable():
        return text, 0
    known = "".join(c for c in text if c != "\ufffd" and unicodedata.category(c) not in ("Co", "Cn", "Cc", "Cs"))
    return known, len(text) - len(known)


def is_soup(text: str, *, least_letters: int = 2) -> bool:
    """Return whether the Latin letters of `text` are another alphabet's: shifted, or shuffled.

    Twenty languages in one table of letter pairs: words of any language written in Latin letters are far likelier by it
    than shuffled ones. Other scripts, tables of numbers and short texts are never called soup,
    and words of fewer than `least_letters` are not looked at.
    """
    if _GLYPH_NAME.search(text):
        return True
    words = {word for word in _latin_words(text) if len(word) >= least_letters}
    if len(words) < _LEAST_WORDS or sum(map(len, words)) < _LEAST_LETTERS:
        return False
    return nats_per_letter(words) > LARGEST_NATS


def _latin_words(text: str) -> set[str]:
    words: set[str] = set()
    for found in _WORD.finditer(text):
        word = found.group()
        if word.isupper() and len(word) < 7:  # abbreviations follow no language
            continue
        plain = "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(c))
        if plain.isascii() and plain.isalpha():
            words.add(plain)
        if len(words) >= _MOST_WORDS:
            break
    return words


def nats_per_letter(words: set[str]) -> float:
    """Return the mean cost of a letter after the one before it, in nats, by _COSTS."""
    cost, letters = 0.0, 0
    for word in words:
        for first, second in zip(f" {word}", f"{word} ", strict=True):
            cost += _COSTS[first][second]
            letters += 1
    return cost / letters
