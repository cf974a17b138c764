"""JSON files: lists of questions and answers, records, and anything else as lines of "key: value"."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from sealserve.intake.media_types import Defect, Parsed, Unreadable
from sealserve.intake.readers.html.html_pages import without_markup
from sealserve.intake.readers.markdown_text import heading, paragraphs
from sealserve.intake.readers.separated_values import ANSWER_HEADINGS, QUESTION_HEADINGS

Json: TypeAlias = Any  # what json.loads returns

_TITLE_KEYS = ("title", "name", "heading", "headline", "subject", "label")
_TEXT_KEYS = ("text", "body", "content", "description", "articlebody", "acceptedanswer")
_CONTAINERS = frozenset({*_TEXT_KEYS, "mainentity", "items", "entries", "faq", "faqs", "data", "articles", "questions"})
_SILENT_KEYS = frozenset({"@context", "@type", "@id", "$schema", "schema_version"})
_MAX_DEPTH = 60


def read_json(text: str) -> Parsed | Unreadable:
    """Return the file as text: one JSON value, or one on each line."""
    try:
        found, hidden = _without_markup(_values(text))
    except ValueError:
        return Unreadable(defect=Defect.BROKEN, advice="it is not valid JSON; save it anew")
    except RecursionError:
        return Unreadable(defect=Defect.TOO_COSTLY, advice="it is nested too deeply; flatten it")
    title = _title(found) if isinstance(found, Mapping) else ""
    blocks = list(_blocks(found, level=1 if title else 2, depth=0))
    return Parsed(title=title, text=paragraphs(blocks), hidden=hidden, begins_with_title=False)


def _values(text: str) -> Json:
    """Return what the file holds. Raises: ValueError, RecursionError."""
    try:
        return json.loads(text)
    except ValueError:
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) < 2 or not lines[0].lstrip().startswith(("{", "[")):
            raise
        return [json.loads(line) for line in lines]


def _without_markup(value: Json) -> tuple[Json, int]:
    """Return `value` with HTML in its strings as Markdown, and how much of it was hidden. Raises: RecursionError."""
    if isinstance(value, str):
        return without_markup(value)
    if isinstance(value, list):
        items = [_without_markup(one) for one in value]
        return [one for one, _ in items], sum(lost for _, lost in items)
    if isinstance(value, Mapping):
        fields = {key: _without_markup(one) for key, one in value.items()}
        return {key: one for key, (one, _) in fields.items()}, sum(lost for _, lost in fields.values())
    return value, 0


def _blocks(value: Json, *, level: int, depth: int) -> Iterator[str]:
    """Yield the paragraphs of a value; records of a list come one after another, each under its title or question."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        yield from _record(value, level=level, depth=depth)
    elif isinstance(value, list):
        if not any(isinstance(one, Mapping | list) for one in value):
            yield "\n".join(f"- {_told(one)}" for one in value if _told(one))
            return
        for one in value:
            yield from _blocks(one, level=level, depth=depth + 1)
    elif _told(value):
        yield _told(value)


def _record(record: Mapping[str, Json], *, level: int, depth: int) -> Iterator[str]:
    question = next((key for key in record if key.casefold() in QUESTION_HEADINGS and _told(record[key])), "")
    answer = next((key for key in record if key.casefold() in ANSWER_HEADINGS), "")
    named = question if question and answer else next((key for key in record if key.lower() in _TITLE_KEYS), "")
    rest = {key: value for key, value in record.items() if key not in (named, answer) and key not in _SILENT_KEYS}
    if named and _told(record[named]):
        yield heading(level, _told(record[named]))
        level += 1
    if answer and question:
        yield from _blocks(record[answer], level=level, depth=depth + 1)
    elif answer:
        rest = {answer: record[answer], **rest}
    lines = [f"{key}: {_told(value)}" for key, value in rest.items() if _told(value) and key.lower() not in _TEXT_KEYS]
    texts = [_told(value) for key, value in rest.items() if _told(value) and key.lower() in _TEXT_KEYS]
    yield from texts
    yield "\n".join(lines)
    for key, value in rest.items():
        if isinstance(value, Mapping | list) and value:
            yield from _nested(key, value, level=level, depth=depth)


def _nested(key: str, value: Json, *, level: int, depth: int) -> Iterator[str]:
    if isinstance(value, list) and not any(isinstance(one, Mapping | list) for one in value):
        if _are_lines(value):
            yield "".join(value).strip()
        else:
            yield f"{key}: {', '.join(filter(None, map(_told, value)))}"
        return
    if key.lower() not in _CONTAINERS:
        yield heading(level, key)
        level += 1
    yield from _blocks(value, level=level, depth=depth + 1)


def _are_lines(values: list[Json]) -> bool:
    """Return whether these are the lines of one text, as notebooks keep them: all but the last with their line end."""
    return (
        len(values) > 1
        and all(isinstance(one, str) for one in values)
        and all(one.endswith("\n") for one in values[:-1])
    )


def _title(record: Mapping[str, Json]) -> str:
    return next((_told(value) for key, value in record.items() if key.lower() in _TITLE_KEYS and _told(value)), "")


def _told(value: Json) -> str:
    """Return a single value as text; "" for lists, records and nothing."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.strip() if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""
