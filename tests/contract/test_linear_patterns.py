"""Every regular expression of Python's `re` takes time linear in the text, whatever the text: `re` backtracks, and it
holds the whole process meanwhile.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

import pytest

from tests.contract.tree import Module, modules
from tests.growth import LARGEST_RATIO, attacks, growth

_CALLS = {
    f"re.{name}" for name in ("compile", "search", "match", "fullmatch", "findall", "finditer", "sub", "subn", "split")
}

ANCHORED = {
    "sealserve.learning.study.markup.counterexamples": "match and fullmatch alone",
    "sealserve.learning.study.markup.lines": "match and fullmatch alone, but for _EMPHASIS, which is bounded",
    "sealserve.learning.study.markup.pairs": "match and fullmatch alone, but for _ANSWER_INSIDE, which is bounded",
    "sealserve.proof.lineage": "fullmatch alone",
    "sealserve.wire": "fullmatch alone",
    "sealserve.registry": "fullmatch alone",
    "sealserve.web": "fullmatch alone",
    "sealserve.learning.cleanup": "fullmatch alone",
}
"""Modules whose patterns begin at the beginning of a text only: tried with `match` instead of a search."""

IN_FUNCTIONS = {
    "sealserve/nano/claims.py": "alternatives between fixed words, of the embedded world",
    "sealserve/policy/bundle.py": "an operator's own policy files",
    "sealserve/processes/processor.py": "/proc/cpuinfo",
    "sealserve/settings/cron.py": "one field of a cron line, of the operator's own settings",
    "sealserve/wire/enums.py": "names of protobuf enums",
    "sealserve/intake/readers/html/page_visibility.py": "names of tags and attributes, each matched as a whole",
    "sealserve/bench/harness/result_tables.py": "names of our own files",
}
"""Files that use `re` inside functions, and why no text can make that slow."""


def test_every_pattern_takes_time_linear_in_the_text() -> None:
    slow = []
    for name, pattern in _patterns():
        run = _matched(pattern) if any(name.startswith(module) for module in ANCHORED) else _searched(pattern)
        slow += [
            f"{name}: {ratio:.1f} on {make(40)!r}"
            for make in attacks(pattern)
            if (ratio := growth(run, make)) > LARGEST_RATIO
        ]
    assert slow == []


@pytest.mark.slow  # measures bad patterns
@pytest.mark.parametrize(
    "pattern",
    [r"[ \t]+\n", r"(?s)/\*.*?\*/", r"(?m)^#[ \t]+(.+?)[ \t#]*$", "[\u200d]+(?=[a-z])"],
)
def test_a_pattern_that_takes_quadratic_time_is_found_out(pattern: str) -> None:
    compiled = re.compile(pattern)
    tries = (growth(_searched(compiled), make) for _ in range(3) for make in attacks(compiled))  # for busy machines
    assert any(ratio > LARGEST_RATIO for ratio in tries)


def test_patterns_inside_functions_are_known() -> None:
    found = {module.path for module in _product() for _ in _calls_in_functions(module)}
    assert sorted(found - set(IN_FUNCTIONS)) == [], "compile it at the top, where it is tried, or name it with a reason"
    assert sorted(set(IN_FUNCTIONS) - found) == [], "these need no exception any more"


def _searched(pattern: re.Pattern[Any]) -> Callable[[Any], object]:
    return lambda text: sum(1 for _ in pattern.finditer(text))


def _matched(pattern: re.Pattern[Any]) -> Callable[[Any], object]:
    return lambda text: (pattern.match(text), pattern.fullmatch(text))


def _patterns() -> Iterator[tuple[str, re.Pattern[Any]]]:
    """Yield every pattern that a module of the product holds when it has been imported."""
    for module in _product():
        if not module.path.startswith("sealserve/bench/") and "re.compile(" in module.text:
            for name, value in vars(import_module(module.name)).items():
                values = (
                    value.values()
                    if isinstance(value, Mapping)
                    else value
                    if isinstance(value, tuple | list)
                    else [value]
                )
                yield from ((f"{module.name}.{name}", one) for one in values if isinstance(one, re.Pattern))


def _calls_in_functions(module: Module) -> Iterator[ast.Call]:
    functions = (node for node in module.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    for node in (inner for function in functions for inner in ast.walk(function)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in _CALLS:
            yield node


def _product() -> Iterator[Module]:
    return (module for module in modules() if module.path.startswith("sealserve/"))
