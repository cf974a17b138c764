"""Measures how little a cycle's self-edits repeat each other. Pure; the policy has the threshold.

An editor that repeats itself writes many self-edits with few distinct words. Training then overfits to one phrasing,
and models trained on their own words degrade.
"""

import zlib
from collections.abc import Iterable

from sealserve.grading.answers import normalised
from sealserve.learning.study.self_edit_text import parse_pairs

N = 2
"""distinct-2 of arXiv 1510.03055, section 5.2: distinct bigrams divided by all bigrams."""

WINDOW_WORDS = 200
"""The share falls with the length of the text, so it is taken over stretches of this many words (as MATTR does,
Covington and McFall 2010) and averaged: a hundred self-edits and a thousand can be compared."""


def distinct(self_edits: Iterable[str]) -> float | None:
    """Return the share of distinct bigrams in `self_edits`, averaged over stretches of WINDOW_WORDS; None without any.

    No bigram spans two self-edits. These are taken in the order of their checksums: well mixed, and the same in a
    re-run.
    """
    windows: list[list[tuple[str, ...]]] = [[]]
    words_in_window = 0
    for words in sorted(
        map(_normalise_words, self_edits), key=lambda words: (zlib.crc32(" ".join(words).encode()), words)
    ):
        if words_in_window >= WINDOW_WORDS:
            windows.append([])
            words_in_window = 0
        windows[-1] += [tuple(words[i : i + N]) for i in range(len(words) - N + 1)]
        words_in_window += len(words)
    shares = [len(set(bigrams)) / len(bigrams) for bigrams in windows if bigrams]
    return sum(shares) / len(shares) if shares else None


def _normalise_words(self_edit: str) -> list[str]:
    pairs = parse_pairs(self_edit)
    text = " ".join(f"{pair.question} {pair.answer}" for pair in pairs) if pairs else self_edit
    return normalised(text).split()
