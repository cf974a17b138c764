"""What a rule's condition is written in: the Common Expression Language, behind a protocol of one method.

CEL has no side effects, no recursion and a bounded number of iterations, so a rule cannot hang or change anything
(https://github.com/google/cel-spec). Knows nothing of rules, events or effects.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from cel_expr_python import cel

from sealserve.errors import BadConfig

MAX_CHARACTERS = 4000


class Condition(Protocol):
    """A compiled condition."""

    def holds(self, data: Mapping[str, Any]) -> bool:
        """Return whether it holds of `data`. Raises: Undecided (missing input, no boolean, too many iterations)."""


class Language(Protocol):
    """Turns text into conditions."""

    def condition(self, text: str, *, names: Sequence[str]) -> Condition:
        """Return `text` compiled; it may speak of `names` alone. Raises: BadConfig, saying where it does not parse."""


class Undecided(Exception):
    """A condition has no answer: what it asks for is missing, or is no boolean. Never a yes."""


class Cel:
    """`Language` over cel-cpp."""

    def condition(self, text: str, *, names: Sequence[str]) -> Condition:
        """Return `text` compiled. Raises: BadConfig."""
        if len(text) > MAX_CHARACTERS:
            raise BadConfig(f"a condition has {len(text)} characters, at most {MAX_CHARACTERS} are read")
        try:
            expression = cel.NewEnv(variables=dict.fromkeys(names, cel.Type.DYN)).compile(text)
        except RuntimeError as error:
            raise BadConfig(f"{text!r} is no CEL condition: {_first_line(error)}") from error
        return _CelCondition(expression)


class _CelCondition:
    def __init__(self, expression: cel.Expression) -> None:
        self._expression = expression

    def holds(self, data: Mapping[str, Any]) -> bool:
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
