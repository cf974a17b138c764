"""What a canary item must have: each matcher's own fields and no others. The one place that reads items from JSON."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sealserve.errors import InvalidArgument
from sealserve.grading.answers import Matcher
from sealserve.grading.json_schemas import schema_fault
from sealserve.grading.numbers import number_of
from sealserve.grading.patterns import pattern_fault
from sealserve.records.canary_suites import CanaryItem

MAX_CHOICES = 16
MAX_TOKENS = 512
MAX_FILE_BYTES = 32 * 1024 * 1024


def item_fault(item: CanaryItem) -> str:
    """Return what is wrong with how `item` is to be matched; "" when it can be asked."""
    if item.matcher not in Matcher.__members__.values():
        return f"matcher is one of {', '.join(Matcher)}, not {item.matcher[:20]!r}"
    matcher = Matcher(item.matcher)
    if not 0 <= item.max_tokens <= MAX_TOKENS:
        return f"max_tokens is 0 to {MAX_TOKENS}"
    foreign = [name for name, owner in _OWN.items() if getattr(item, name) and owner is not matcher]
    if foreign:
        return f"{matcher} takes no {foreign[0]}"
    return _FAULTS.get(matcher, _answer_fault)(item)


def _answer_fault(item: CanaryItem) -> str:
    return "" if item.answer.strip() else "the right answer is missing"


def _numeric_fault(item: CanaryItem) -> str:
    if number_of(item.answer) is None:
        return f"the right answer is a number, not {item.answer[:20]!r}"
    is_sound = math.isfinite(item.tolerance) and item.tolerance >= 0
    return "" if is_sound else "tolerance is a number of 0 or more"


def _choice_fault(item: CanaryItem) -> str:
    if not 2 <= len(item.choices) <= MAX_CHOICES:
        return f"choice has 2 to {MAX_CHOICES} choices"
    if len(set(item.choices)) < len(item.choices) or not all(one.strip() for one in item.choices):
        return "choices differ and are not empty"
    if item.max_tokens:
        return "choice generates nothing and takes no max_tokens"
    return "" if item.answer in item.choices else "the right answer is one of the choices"


def _regex_fault(item: CanaryItem) -> str:
    return f"pattern: {fault}" if (fault := pattern_fault(item.pattern)) else ""


def _schema_fault(item: CanaryItem) -> str:
    return f"schema {fault}" if (fault := schema_fault(item.schema)) else ""


def _refusal_fault(item: CanaryItem) -> str:
    return "refusal takes no answer" if item.answer else ""


_OWN = {
    "pattern": Matcher.REGEX,
    "tolerance": Matcher.NUMERIC,
    "choices": Matcher.CHOICE,
    "schema": Matcher.JSON_SCHEMA,
}
"""Fields that one matcher alone takes."""

_FAULTS: Mapping[Matcher, Callable[[CanaryItem], str]] = {
    Matcher.NUMERIC: _numeric_fault,
    Matcher.CHOICE: _choice_fault,
    Matcher.REGEX: _regex_fault,
    Matcher.JSON_SCHEMA: _schema_fault,
    Matcher.REFUSAL: _refusal_fault,
}


_FIELDS = {
    "id": "item",
    "prompt": "prompt",
    "matcher": "matcher",
    "answer": "answer",
    "pattern": "pattern",
    "tolerance": "tolerance",
    "choices": "choices",
    "schema": "schema",
    "kind": "kind",
    "max_tokens": "max_tokens",
}
"""Keys of a line, and the item's field for each."""


def read_items(path: Path) -> tuple[CanaryItem, ...]:
    """Return the items of a JSONL file; empty lines are skipped. Raises: InvalidArgument, naming the line."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InvalidArgument(f"{path}: larger than {MAX_FILE_BYTES} bytes", field="file")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"{path}: cannot be read as text", field="file") from error
    return tuple(_item(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip())


def _item(line: str, place: str) -> CanaryItem:
    try:
        tree: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"{place}: not JSON", field="items") from error
    if not isinstance(tree, dict) or not {"id", "prompt"} <= tree.keys() <= _FIELDS.keys():
        text = f"{place}: not an item; it has id, prompt, and of {', '.join(_FIELDS)} what its matcher needs"
        raise InvalidArgument(text, field="items")
    values = {_FIELDS[key]: _value(key, value) for key, value in tree.items()}
    if wrong := [key for key in tree if values[_FIELDS[key]] is None]:
        raise InvalidArgument(f"{place}: {wrong[0]} is not of the right kind", field="items")
    item = CanaryItem(**values)
    if fault := item_fault(item):
        raise InvalidArgument(f"{place}: {fault}", field="items")
    return item


def _value(key: str, value: Any) -> Any:
    """The field's value, or None when it is not of the right kind."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if key == "tolerance":
        return float(value) if is_number else None
    if key == "max_tokens":
        return value if is_number and isinstance(value, int) else None
    if key == "choices":
        return tuple(value) if isinstance(value, list) and all(isinstance(one, str) for one in value) else None
    if key == "schema" and isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    if key == "answer" and is_number:
        return str(value)
    return value if isinstance(value, str) else None
