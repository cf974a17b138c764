"""What a disguised passage says: written in base64, as numbers of letters, letter by letter, backwards or with digits
for letters.

A person does not read these at all or only with effort, and a language model reads them. Every function takes time
linear in the text.
"""

import codecs
import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import unquote_plus

import re2

_BASE64 = re2.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}(?:\n[A-Za-z0-9+/_-]{4,76}={0,2})*")
_HEX = re2.compile(r"(?:\b|0x|\\x)[0-9A-Fa-f]{2}(?:[ :,]?(?:0x|\\x)?[0-9A-Fa-f]{2}){15,}\b")
_HEX_DIGITS = re.compile(r"0x|\\x|[ :,]")
_PERCENT = re2.compile(r"[A-Za-z0-9.,!:;+_~-]*(?:%[0-9A-Fa-f]{2}[A-Za-z0-9.,!:;+_~-]*){3,}")
_ESCAPED = re2.compile(r"(?:\\u[0-9A-Fa-f]{4}|&#x?[0-9A-Fa-f]{2,6};){8,}")
_CODE = re2.compile(r"\\u([0-9A-Fa-f]{4})|&#x([0-9A-Fa-f]{2,6});|&#([0-9]{2,6});")
_SPELLED = re2.compile(r"\b[A-Za-z](?:[ ._*-]{1,4}[A-Za-z]\b){11,}")
_LETTER_GAP = re2.compile(r"[ ._*-]")
_MIXED = re2.compile(r"\b(?:[A-Za-z]+[0-9@$]|[0-9@$]+[A-Za-z])[A-Za-z0-9@$]*")
_MIN_MIXED = 3
_LETTERS_FOR_DIGITS = str.maketrans("01345789@$", "oieastbpas")
_IS_ORDER = re2.compile(
    r"(?i)\b(?:ignore|disregard|forget|override|bypass)\b[^.!?\n]{0,40}\b(?:instructions?|prompts?|rules|guidance|guidelines)\b"
)
_IS_SPELLED_ORDER = re2.compile(
    r"(?i)(?:ignore|disregard|forget|override|bypass)[a-z]{0,24}(?:instructions?|prompts?|rules|guidance|guidelines)"
)


def encoded_in(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield what encoded runs of `text` say, and where each begins and ends."""
    for pattern, decode in _DECODERS:
        for found in pattern.finditer(text):
            if said := _if_text(decode(found[0])):
                yield said, found.start(), found.end()


def disguised_orders_in(text: str) -> Iterator[tuple[int, int]]:
    """Yield where an order to ignore instructions stands in a disguise: letter by letter, with digits for letters, by
    letters turned (ROT13), or backwards. `text` is ASCII.
    """
    for found in _SPELLED.finditer(text):
        if _IS_SPELLED_ORDER.search(_LETTER_GAP.sub("", found[0])):
            yield found.start(), found.end()
    mixed = [found.span() for found in _MIXED.finditer(text)]
    if len(mixed) >= _MIN_MIXED:
        yield from _orders_in(_replaced(text, mixed), text)
    yield from _orders_in(codecs.encode(text, "rot13"), text)
    yield from ((len(text) - end, len(text) - start) for start, end in _orders_in(text[::-1], text))


def _orders_in(variant: str, text: str) -> Iterator[tuple[int, int]]:
    """Yield the orders of `variant`, which is as long as `text`, besides those that `text` holds itself."""
    for found in _IS_ORDER.finditer(variant):
        if found[0] != text[found.start() : found.end()]:
            yield found.span()


def _replaced(text: str, places: list[tuple[int, int]]) -> str:
    """Return `text` with letters for digits at `places`."""
    parts, done = [], 0
    for start, end in places:
        parts += [text[done:start], text[start:end].translate(_LETTERS_FOR_DIGITS)]
        done = end
    return "".join([*parts, text[done:]])


def _from_base64(run: str) -> str:
    letters = "".join(run.split()).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return b64decode(letters + "=" * (-len(letters) % 4)).decode()
    except (ValueError, UnicodeDecodeError):
        return ""


def _from_hex(run: str) -> str:
    try:
        return bytes.fromhex(_HEX_DIGITS.sub("", run)).decode()
    except (ValueError, UnicodeDecodeError):
        return ""


def _from_codes(run: str) -> str:
    codes = (int(found[3]) if found[3] else int(found[1] or found[2], 16) for found in _CODE.finditer(run))
    return "".join(chr(code) for code in codes if code < 0xD800)


def _if_text(said: str) -> str:
    return said if all(one.isprintable() or one.isspace() for one in said) else ""


_DECODERS: Sequence[tuple[Any, Callable[[str], str]]] = (
    (_BASE64, _from_base64),
    (_HEX, _from_hex),
    (_PERCENT, unquote_plus),
    (_ESCAPED, _from_codes),
)
