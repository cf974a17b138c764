"""JSON in a model's answer: bare, in a fence, between other words, or cut in the middle. Pure."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

MAX_DEPTH = 6
"""Deeper lists and objects are not looked into."""

_BEGINNING = re.compile(r"[\[{]\s*[\"\[{\]}]")
_FLAT_OBJECT = re.compile(r"\{[^{}]*\}")
_MAX_SPACES = 8  # between a text and its comma
_SPECIAL = re.compile(r'["\\]')
_TEXT_KEYS = ("fact", "statement", "implication", "text", "sentence", "rewrite", "rewritten", "article")


def read_json(text: str) -> Any:
    """Return the first object or list in `text`; None if there is none, or it does not end."""
    for candidate in _candidates(text):
        try:
            value = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, (dict, list)):
            return value
    return None


def objects_in(text: str) -> Iterator[Mapping[str, Any]]:
    """Yield the innermost objects of the JSON in `text`, keys in lower case; of a cut text those that are whole."""
    if "{" not in text:
        return
    value = read_json(text)
    if value is None:
        parts = [_object(found[0]) for found in _FLAT_OBJECT.finditer(text)]
        value = [part for part in parts if part]
    yield from _objects(value, depth=0)


def texts_in(text: str) -> tuple[str, ...] | None:
    """Return the texts listed in an answer that is JSON; None if it is no JSON. Of a cut answer the whole ones."""
    inner = next(iter(fenced_blocks(text)), text).strip()
    if not _BEGINNING.match(inner):
        return None
    value = read_json(inner)
    if value is not None:
        return tuple(_texts(value, depth=0))
    found = [_string(part) for part in _listed(inner)]
    return tuple(filter(None, found)) or None


def fenced_blocks(text: str) -> list[str]:
    """Return what stands between pairs of ```; of the last one also if it is never closed."""
    parts = text.split("```")[1::2]
    return [part.removeprefix("json").removeprefix("JSON") for part in parts]


def _candidates(text: str) -> Iterator[str]:
    yield from fenced_blocks(text)
    for opening, closing in (("{", "}"), ("[", "]")) if _opens_with_object(text) else (("[", "]"), ("{", "}")):
        begin, end = text.find(opening), text.rfind(closing)
        if 0 <= begin < end:
            yield text[begin : end + 1]


def _opens_with_object(text: str) -> bool:
    begin, other = text.find("{"), text.find("[")
    return begin >= 0 and (other < 0 or begin < other)


def _objects(value: Any, *, depth: int) -> Iterator[Mapping[str, Any]]:
    if depth > MAX_DEPTH or not isinstance(value, (dict, list)):
        return
    parts = list(value.values()) if isinstance(value, dict) else value
    if isinstance(value, dict) and not any(isinstance(part, dict) for part in parts):
        yield {key.lower(): part for key, part in value.items()}
    for part in parts:
        yield from _objects(part, depth=depth + 1)


def _texts(value: Any, *, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        return
    if isinstance(value, list):
        for part in value:
            yield from [part] if isinstance(part, str) else _texts(part, depth=depth + 1)
    elif isinstance(value, dict):
        for key, part in value.items():
            if isinstance(part, str) and key.lower() in _TEXT_KEYS:
                yield part
            yield from _texts(part, depth=depth + 1)


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _listed(text: str) -> Iterator[str]:
    """Yield every text in quotation marks, these included, that a comma or a closing bracket follows.

    One pass: a backslash takes the character after it along, and a mark that closes nothing may open the next text.
    """
    begin, place = -1, 0
    while found := _SPECIAL.search(text, place):
        place = found.end()
        if found[0] == "\\":
            place += begin >= 0
        elif begin >= 0 and text[place : place + _MAX_SPACES].lstrip().startswith((",", "]")):
            yield text[begin:place]
            begin = -1
        else:
            begin = found.start()


def _string(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        return ""
