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
from sealserve.records.inference import CONSTRAINTS, Sampling

MAX_TEMPERATURE = 2.0
"""vLLM's own bound."""

MAX_STOPS = 16
MAX_STOP_CHARACTERS = 256
MAX_SEED = 2**63 - 1
"""torch.Generator.manual_seed takes a signed 64-bit integer."""

MAX_N = 8
"""Each answer takes a place of its own in the engine."""

MAX_TOP_K = 2**20
MAX_LOGPROBS = 20
"""vLLM's `max_logprobs`."""

MAX_PENALTY = 2.0
MAX_REPETITION_PENALTY = 10.0
MAX_STOP_TOKEN_IDS = 64
MAX_BIASES = 300
MAX_BIAS = 100.0
MAX_TOKEN_ID = 2**31 - 1
MAX_GRAMMAR_CHARACTERS = 4000
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
    _check_number("n", sampling.n, low=1, high=MAX_N)
    if sampling.n > 1 and sampling.temperature == 0:
        raise InvalidArgument("n is above 1: greedy answers are all the same, so set a temperature", field="n")
    _check_number("min_tokens", sampling.min_tokens, low=0, high=sampling.max_tokens)
    _check_weights(sampling)
    _check_token_ids(sampling)
    if sampling.logprobs is not None:
        _check_number("logprobs", sampling.logprobs, low=0, high=MAX_LOGPROBS)
    if sampling.constraint:
        _check_constraint(sampling)


def _check_weights(sampling: Sampling) -> None:
    """What changes the odds of tokens."""
    _check_number("top_k", sampling.top_k, low=0, high=MAX_TOP_K)
    _check_range("min_p", sampling.min_p, low=0.0, high=1.0)
    for name in ("presence_penalty", "frequency_penalty"):
        _check_range(name, getattr(sampling, name), low=-MAX_PENALTY, high=MAX_PENALTY)
    _check_range("repetition_penalty", sampling.repetition_penalty, low=0.0, high=MAX_REPETITION_PENALTY)
    if sampling.repetition_penalty == 0:
        raise InvalidArgument("repetition_penalty is 0; give a value above 0, 1 for none", field="repetition_penalty")


def _check_token_ids(sampling: Sampling) -> None:
    """Whether the ids are of the model's vocabulary is the engine's to say."""
    if len(sampling.stop_token_ids) > MAX_STOP_TOKEN_IDS:
        text = f"{len(sampling.stop_token_ids)} stop_token_ids; at most {MAX_STOP_TOKEN_IDS} are taken"
        raise InvalidArgument(text, field="stop_token_ids")
    for token in sampling.stop_token_ids:
        _check_number("stop_token_ids", token, low=0, high=MAX_TOKEN_ID)
    if len(sampling.logit_bias) > MAX_BIASES:
        text = f"logit_bias has {len(sampling.logit_bias)} entries; at most {MAX_BIASES} are taken"
        raise InvalidArgument(text, field="logit_bias")
    for token, bias in sampling.logit_bias:
        _check_number("logit_bias", token, low=0, high=MAX_TOKEN_ID)
        _check_range("logit_bias", bias, low=-MAX_BIAS, high=MAX_BIAS)


def _check_constraint(sampling: Sampling) -> None:
    given = [name for name in CONSTRAINTS if getattr(sampling, name)]
    if len(given) > 1:
        raise InvalidArgument(f"{' and '.join(given)} are given; at most one may be", field=given[1])
    faults = {"choice": _choice_fault, "regex": _regex_fault, "json_schema": _schema_fault, "grammar": _grammar_fault}
    fault = faults[given[0]](sampling)
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


def _grammar_fault(sampling: Sampling) -> str:
    """Whether it is a grammar is the engine's to say, which reads it."""
    length = len(sampling.grammar)
    return "" if length <= MAX_GRAMMAR_CHARACTERS else f"has {length} characters; at most {MAX_GRAMMAR_CHARACTERS}"


def _counts(node: Any) -> Iterator[float]:
    """Yield every bound of a length or a number of items; a property of such a name is taken for one if a number."""
    parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, part in parts:
        if isinstance(part, (int, float)) and _COUNTS.fullmatch(str(name)):
            yield part
        yield from _counts(part)


def _check_number(field: str, value: int, *, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidArgument(f"{field} is {value}; give {low} to {high}", field=field)


def _check_range(field: str, value: float, *, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise InvalidArgument(f"{field} is {value}; give {low:g} to {high:g}", field=field)
