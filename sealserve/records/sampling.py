"""The bounds of a request's sampling values, in one pure function.

Every engine calls it before anything else sees the values. Checks that depend on the context length are made where
the prompt is tokenised.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from sealserve.errors import InvalidArgument
from sealserve.grading.json_schemas import schema_fault
from sealserve.grading.patterns import pattern_fault
from sealserve.records.inference import Sampling

MAX_TEMPERATURE = 10.0
MAX_STOPS = 16
MAX_STOP_CHARACTERS = 256
MAX_SEED = 2**63 - 1
"""torch.Generator.manual_seed takes a signed 64-bit integer."""

MAX_CHOICES = 64
MAX_CHOICE_CHARACTERS = 256
MAX_SCHEMA_COUNT = 10_000
"""Largest minItems, maxLength and the like: a grammar repeats some of them item by item."""

_COUNTS = re.compile(r"(?:min|max)(?:Items|Length|Properties)")
_OTHER_SYNTAX = re.compile(r"(?<!\\)(?:\\\\)*\\[QECbB]")
"""RE2 takes these; llguidance, which holds the answers to the pattern, does not."""


def check_sampling(sampling: Sampling) -> None:
    """Return if every value can be sampled with.

    Raises: InvalidArgument, naming the field.
    """
    if sampling.max_tokens < 1:
        raise InvalidArgument(f"max_tokens is {sampling.max_tokens}; give at least 1", field="max_tokens")
    _check_range("temperature", sampling.temperature, low=0.0, high=MAX_TEMPERATURE)
    _check_range("top_p", sampling.top_p, low=0.0, high=1.0)
    if sampling.top_p == 0:
        raise InvalidArgument("top_p is 0; give a value above 0, or temperature 0 for greedy", field="top_p")
    if sampling.seed is not None and not 0 <= sampling.seed <= MAX_SEED:
        raise InvalidArgument(f"seed is {sampling.seed}; give 0 to {MAX_SEED}", field="seed")
    if len(sampling.stop) > MAX_STOPS:
        raise InvalidArgument(f"{len(sampling.stop)} stop strings; at most {MAX_STOPS} are taken", field="stop")
    if any(not 1 <= len(stop) <= MAX_STOP_CHARACTERS for stop in sampling.stop):
        raise InvalidArgument(f"a stop string needs 1 to {MAX_STOP_CHARACTERS} characters", field="stop")
    if sampling.constraint:
        _check_constraint(sampling)


def _check_constraint(sampling: Sampling) -> None:
    given = [name for name in ("choice", "regex", "json_schema") if getattr(sampling, name)]
    if len(given) > 1:
        raise InvalidArgument(f"{' and '.join(given)} are given; at most one may be", field=given[1])
    fault = {"choice": _choice_fault, "regex": _regex_fault, "json_schema": _schema_fault}[given[0]](sampling)
    if fault:
        raise InvalidArgument(f"{given[0]} {fault}", field=given[0])


def _choice_fault(sampling: Sampling) -> str:
    if len(sampling.choice) > MAX_CHOICES:
        return f"has {len(sampling.choice)} members; at most {MAX_CHOICES} are taken"
    if not all(1 <= len(member) <= MAX_CHOICE_CHARACTERS and member.isprintable() for member in sampling.choice):
        return f"needs members of 1 to {MAX_CHOICE_CHARACTERS} printable characters"
    return ""


def _regex_fault(sampling: Sampling) -> str:
    if fault := pattern_fault(sampling.regex):
        return f"cannot be used: {fault}"
    return r"cannot be used: \Q, \E, \C, \b and \B are not supported" if _OTHER_SYNTAX.search(sampling.regex) else ""


def _schema_fault(sampling: Sampling) -> str:
    if fault := schema_fault(sampling.json_schema):
        return fault
    large = [count for count in _counts(json.loads(sampling.json_schema)) if count > MAX_SCHEMA_COUNT]
    return f"has a bound of {large[0]}; at most {MAX_SCHEMA_COUNT} is taken" if large else ""


def _counts(node: Any) -> Iterator[float]:
    """Yield every bound of a length or a number of items; a property of such a name is taken for one if a number."""
    parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, part in parts:
        if isinstance(part, (int, float)) and _COUNTS.fullmatch(str(name)):
            yield part
        yield from _counts(part)


def _check_range(field: str, value: float, *, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise InvalidArgument(f"{field} is {value}; give {low:g} to {high:g}", field=field)
