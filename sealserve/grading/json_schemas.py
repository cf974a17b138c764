"""JSON schemas that a tenant may set as the rule for an answer.

References are refused: they could reach the network or never end. Patterns are matched by RE2, never by Python's `re`.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache, partial
from typing import Any

from sealserve.grading.patterns import matches, pattern_fault

MAX_SCHEMA_CHARACTERS = 4000
MAX_ANSWER_CHARACTERS = 8000
MAX_DEPTH = 32

MAX_UNEVALUATED_DEPTH = 2
"""Of unevaluatedProperties and unevaluatedItems inside one another: checking takes time exponential in it."""

MAX_WORK = 100_000
"""Largest product of the schemas in a schema and the values in an answer: checking takes time in proportion to it,
about a second for this many."""

_UNEVALUATED = ("unevaluatedProperties", "unevaluatedItems")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


@lru_cache(maxsize=64)
def schema_fault(schema: str) -> str:
    """Return what is wrong with `schema`; "" when it may be used.

    Refused: more than MAX_SCHEMA_CHARACTERS, no JSON object, no schema of draft 2020-12, references, patterns that
    `pattern_fault` refuses, unevaluatedProperties beside patternProperties, and nesting deeper than MAX_DEPTH or, of
    unevaluatedProperties and unevaluatedItems, than MAX_UNEVALUATED_DEPTH.
    """
    from jsonschema import Draft202012Validator  # not at the top: clients import this module without jsonschema
    from jsonschema.exceptions import SchemaError

    if len(schema) > MAX_SCHEMA_CHARACTERS:
        return f"has at most {MAX_SCHEMA_CHARACTERS} characters"
    try:
        tree = json.loads(schema)
        if not isinstance(tree, dict):
            return "is a JSON object"
        fault = _fault(tree, depth=0)
        if not fault:
            Draft202012Validator.check_schema(tree, format_checker=None)  # which compiles patterns as Python's
    except (ValueError, RecursionError):
        return "is not JSON"
    except SchemaError as error:
        return f"is not a JSON schema: {error.message[:200]}"
    if not fault and _unevaluated_depth(tree) > MAX_UNEVALUATED_DEPTH:
        return f"nests {' or '.join(_UNEVALUATED)} deeper than {MAX_UNEVALUATED_DEPTH}"
    if not fault and _uses(tree, "patternProperties") and _uses(tree, "unevaluatedProperties"):
        return "uses unevaluatedProperties beside patternProperties, which is not supported"
    return fault


def is_accepted(given: str, schema: str) -> bool:
    """Return whether `given` is one JSON value, bare or fenced, that `schema` accepts.

    A faulty schema accepts none, and no schema accepts a value of more than MAX_ANSWER_CHARACTERS or MAX_WORK.
    """
    from jsonschema.exceptions import ValidationError

    text = _without_fence(given.strip())
    if len(text) > MAX_ANSWER_CHARACTERS or schema_fault(schema):
        return False
    try:
        value = json.loads(text)
        if _size(json.loads(schema)) * _size(value) > MAX_WORK:
            return False
        _validator(schema).validate(value)
    except (ValueError, RecursionError, ValidationError):
        return False
    return True


def _without_fence(text: str) -> str:
    opening, line_end, rest = text.partition("\n")
    is_fenced = opening.rstrip() in ("```", "```json") and line_end and rest.endswith("```")
    return rest.removesuffix("```") if is_fenced else text


@lru_cache(maxsize=64)
def _validator(schema: str) -> Any:
    return _validator_class()(json.loads(schema))


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if isinstance(instance, str) and not _is_found(pattern, instance):
        yield ValidationError("the text does not match the pattern")


def _pattern_properties(validator: Any, patterns: Mapping[str, Any], instance: Any, _: Any) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    for pattern, schema in patterns.items():
        for name in filter(partial(_is_found, pattern), instance):
            yield from validator.descend(instance[name], schema, path=name)


def _additional_properties(validator: Any, schema: Any, instance: Any, parent: Mapping[str, Any]) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    patterns = parent.get("patternProperties", {})
    for name in instance.keys() - parent.get("properties", {}).keys():
        if not any(_is_found(pattern, name) for pattern in patterns):
            yield from validator.descend(instance[name], schema, path=name)


def _is_found(pattern: str, text: str) -> bool:
    return matches(text, pattern, is_case_sensitive=True)


@cache
def _validator_class() -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    keywords = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,  # its default matches patternProperties by `re`
    }
    return extend(Draft202012Validator, keywords)


def _size(node: Any) -> int:
    """Return how many values, and so at most how many schemas, there are in a JSON value."""
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return 1 + sum(map(_size, parts))


def _unevaluated_depth(node: Any) -> int:
    """Return how often one of _UNEVALUATED stands inside another at most."""
    if not isinstance(node, dict | list):
        return 0
    parts = node.values() if isinstance(node, dict) else node
    here = isinstance(node, dict) and any(name in node for name in _UNEVALUATED)
    return here + max(map(_unevaluated_depth, parts), default=0)


def _uses(node: Any, keyword: str) -> bool:
    if isinstance(node, list):
        return any(_uses(part, keyword) for part in node)
    return isinstance(node, dict) and (keyword in node or any(_uses(part, keyword) for part in node.values()))


def _fault(node: Any, *, depth: int) -> str:
    """Return the first thing in `node` that is refused; "" if there is none."""
    if depth > MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH}"
    if isinstance(node, list):
        return next((fault for part in node if (fault := _fault(part, depth=depth + 1))), "")
    if not isinstance(node, dict):
        return ""
    if used := [name for name in _REFERENCES if name in node]:
        return f"uses {used[0]}, which is not supported"
    for pattern in _patterns(node):
        if fault := pattern_fault(pattern):
            return f"has the pattern {pattern[:40]!r}: {fault}"
    return next((fault for part in node.values() if (fault := _fault(part, depth=depth + 1))), "")


def _patterns(node: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(pattern := node.get("pattern"), str):
        yield pattern
    if isinstance(named := node.get("patternProperties"), dict):
        yield from named
