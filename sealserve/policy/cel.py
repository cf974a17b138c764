"""Conditions of rules, in the Common Expression Language.

CEL has no side effects, no recursion and a bounded number of iterations, so a rule cannot hang or change anything
(https://github.com/google/cel-spec).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cel_expr_python import cel

from sealserve.errors import BadConfig

MAX_CHARACTERS = 4000


class Undecided(Exception):
    """A condition has no answer: an input is missing, or the result is no boolean. Never a yes."""


class Condition:
    """A compiled condition."""

    def __init__(self, text: str, *, names: Sequence[str]) -> None:
        """Compile `text`, which may use `names` alone. Raises: BadConfig, saying where it does not parse."""
        if len(text) > MAX_CHARACTERS:
            raise BadConfig(f"a condition has {len(text)} characters, at most {MAX_CHARACTERS} are read")
        try:
            self._expression = cel.NewEnv(variables=dict.fromkeys(names, cel.Type.DYN)).compile(text)
        except RuntimeError as error:
            raise BadConfig(f"{text!r} is no CEL condition: {_first_line(error)}") from error

    def holds(self, data: Mapping[str, Any]) -> bool:
        """Return whether it holds of `data`. Raises: Undecided (missing input, no boolean, too many iterations)."""
        try:
            found = self._expression.eval(data=data)
        except (RuntimeError, TypeError, ValueError) as error:
            raise Undecided(_first_line(error)) from error
        if found.type() != cel.Type.BOOL:
            raise Undecided(_first_line(found.value()))
        return bool(found.value())


def _first_line(what: object) -> str:
    lines = str(what).splitlines() or [""]
    return lines[0][:300]
