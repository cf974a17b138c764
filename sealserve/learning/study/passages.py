"""Cuts a document into passages that fit the model's context, at headings, paragraphs and sentences."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace

from semantic_text_splitter import MarkdownSplitter, TextSplitter

from sealserve.records.step_outputs import Passage

PLAIN = "text/plain"
_HEADING = re.compile(r"^#{1,6} +([^\n]{1,200})$", re.MULTILINE)


async def cut(
    document: str,
    *,
    title: str,
    text: str,
    max_tokens: int,
    count: Callable[[str], Awaitable[int]],
    media_type: str = "text/plain",
) -> tuple[Passage, ...]:
    """Return the passages of `text`, in order: each of at most `max_tokens` by `count`, and together the whole text.

    Each is numbered among all of the document. Text without a break is cut at any character.
    """
    if not text.strip():
        return ()
    tokens = await count(text)
    if tokens <= max_tokens:
        return (Passage(document=document, title=title, start=0, end=len(text)),)
    max_characters = max(1, int(len(text) / tokens * max_tokens * 0.9))
    spans = split_spans(text, max_characters=max_characters, media_type=media_type)
    passages: list[Passage] = []
    for start, end in spans:
        passages += await _fit(document, title, text, start, end, max_tokens=max_tokens, count=count)
    return tuple(replace(passage, part=place, parts=len(passages)) for place, passage in enumerate(passages, start=1))


def with_title(title: str, text: str) -> str:
    """Return `text` after its title, unless it begins with it."""
    begins = text.lstrip().lstrip("#").lstrip()
    return text.strip() if begins.startswith(title) else f"{title}\n{text.strip()}"


def heading_at(text: str, place: int) -> str:
    """Return the last Markdown heading at or before `place`, without its marks; "" if there is none."""
    line_end = text.find("\n", place)
    found = _HEADING.findall(text[: len(text) if line_end < 0 else line_end])
    return str(found[-1]).strip() if found else ""


def split_spans(text: str, *, max_characters: int, media_type: str = "text/plain") -> list[tuple[int, int]]:
    """Return consecutive spans of `text` of at most `max_characters`, cut at the strongest breaks that fit.

    Intake makes Markdown of every format but plain text.
    """
    is_plain = media_type.partition(";")[0].strip().lower() == PLAIN
    splitter = (TextSplitter if is_plain else MarkdownSplitter)(max_characters, trim=False)
    pieces = splitter.chunk_indices(text)
    return [(start, start + len(piece)) for start, piece in pieces if piece.strip()]


async def _fit(
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
        found += await _fit(document, title, text, start + left, start + right, max_tokens=max_tokens, count=count)
    return found
