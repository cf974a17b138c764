"""JSON schemas that a tenant may set as the rule for an answer, made safe by what they may not say.

A schema that refers elsewhere could ask the network or never end; a pattern in it could keep the matcher busy.
Knows nothing of who wrote it.
"""

import json
import re
from functools import lru_cache
from typing import Any

from sealserve.grading.patterns import pattern_fault

MAX_SCHEMA_CHARACTERS = 4000
MAX_ANSWER_CHARACTERS = 8000
MAX_DEPTH = 32

_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)


def schema_fault(schema: str) -> str:
    """Return what is wrong with `schema`; "" when it may be used.

    Refused: more than MAX_SCHEMA_CHARACTERS, no JSON object, no schema of draft 2020-12, references, patterns that
    `pattern_fault` refuses, patternProperties, and nesting deeper than MAX_DEPTH.
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
            Draft202012Validator.check_schema(tree)
    except (ValueError, RecursionError):
        return "is not JSON"
    except SchemaError as error:
        return f"is not a JSON schema: {error.message[:200]}"
    return fault


def is_accepted(given: str, schema: str) -> bool:
    """Return whether `given` is one JSON value, bare or fenced, that `schema` accepts; a faulty schema accepts none."""
    from jsonschema.exceptions import ValidationError

    fenced = _FENCE.match(given)
    text = fenced[1] if fenced else given
    if len(text) > MAX_ANSWER_CHARACTERS or schema_fault(schema):
        return False
    try:
        _validator(schema).validate(json.loads(text))
    except (ValueError, RecursionError, ValidationError):
        return False
    return True


@lru_cache(maxsize=64)
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(schema))


def _fault(node: Any, *, depth: int) -> str:
    """The first thing in `node` that is not taken."""
    if depth > MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH}"
    if isinstance(node, list):
        return next((fault for one in node if (fault := _fault(one, depth=depth + 1))), "")
    if not isinstance(node, dict):
        return ""
    if used := [name for name in (*_REFERENCES, "patternProperties") if name in node]:
        return f"uses {used[0]}, which is not taken"
    pattern = node.get("pattern")
    if isinstance(pattern, str) and (fault := pattern_fault(pattern)):
        return f"has the pattern {pattern[:40]!r}: {fault}"
    return next((fault for one in node.values() if (fault := _fault(one, depth=depth + 1))), "")
