"""Degenerate answers: empty text, or text that ends in a loop."""

import re

MIN_REPEATS = 6
"""A pattern this often in a row at the end is a loop: refrains repeat two or three times, enumerations differ."""

MIN_LOOP_WORDS = 12
MAX_PERIOD_WORDS = 12

_WORD = re.compile(r"\w+|[^\w\s]")


def is_degenerate(text: str, *, is_whole: bool = True) -> bool:
    """Return whether `text` ends in a loop, or is empty although it is whole (it was not cut off at a length).

    A loop is up to MAX_PERIOD_WORDS words, repeated MIN_REPEATS times or more over at least MIN_LOOP_WORDS words.
    """
    words = _WORD.findall(text.casefold())
    if not words:
        return is_whole
    return any(_loops(words, period) for period in range(1, MAX_PERIOD_WORDS + 1))


def _loops(words: list[str], period: int) -> bool:
    needed = max(MIN_REPEATS * period, MIN_LOOP_WORDS)
    if len(words) < needed:
        return False
    tail = words[-needed:]
    return tail[period:] == tail[:-period]
