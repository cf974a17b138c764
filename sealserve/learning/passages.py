"""A document in pieces that fit the model's context, cut between sentences. Knows nothing of what is done with them."""

import re
from collections.abc import Awaitable, Callable

from sealserve.learning.outputs import Passage

_BREAK = re.compile(r"\n\s*\n|(?<=[.!?])\s+|\n")


async def cut(
    document: str, *, title: str, text: str, max_tokens: int, count: Callable[[str], Awaitable[int]]
) -> tuple[Passage, ...]:
    """Return the passages of `text`, in order; each is at most `max_tokens` by `count`, and together they hold it all.

    A single sentence above the limit is cut at the last blank before it.
    """
    if not text.strip():
        return ()
    tokens = await count(text)
    if tokens <= max_tokens:
        return (Passage(document=document, title=title, start=0, end=len(text)),)
    max_characters = max(1, int(len(text) / tokens * max_tokens * 0.9))
    spans = split_spans(text, max_characters=max_characters)
    passages: list[Passage] = []
    for start, end in spans:
        passages += await _fitted(document, title, text, start, end, max_tokens=max_tokens, count=count)
    return tuple(passages)


def split_spans(text: str, *, max_characters: int) -> list[tuple[int, int]]:
    """Return consecutive spans of `text` of at most `max_characters`, cut at the last sentence end that fits."""
    spans: list[tuple[int, int]] = []
    start = 0
    while start < len(text):
        end = _last_break(text, start, limit=start + max_characters)
        if text[start:end].strip():
            spans.append((start, end))
        start = end
    return spans


async def _fitted(
    document: str,
    title: str,
    text: str,
    start: int,
    end: int,
    *,
    max_tokens: int,
    count: Callable[[str], Awaitable[int]],
) -> list[Passage]:
    if end - start < 2 or await count(text[start:end]) <= max_tokens:
        return [Passage(document=document, title=title, start=start, end=end)]
    halves = split_spans(text[start:end], max_characters=(end - start + 1) // 2)
    found: list[Passage] = []
    for left, right in halves:
        found += await _fitted(document, title, text, start + left, start + right, max_tokens=max_tokens, count=count)
    return found


def _last_break(text: str, start: int, *, limit: int) -> int:
    if limit >= len(text):
        return len(text)
    breaks = [match.end() for match in _BREAK.finditer(text, start, limit)]
    if breaks:
        return breaks[-1]
    blank = text.rfind(" ", start + 1, limit)
    return blank + 1 if blank > start else limit
