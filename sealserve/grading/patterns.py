"""Regular expressions that a tenant may set as the rule for an answer, made safe by what they may not say.

Python's matcher backtracks and cannot be stopped, so a pattern is refused before it is ever tried when some text
could keep it busy. Knows nothing of who wrote it.
"""

import itertools
import re

MAX_PATTERN_CHARACTERS = 200
MAX_MATCHED_CHARACTERS = 200
"""Only this much of an answer is looked at: quiz answers are a few words."""

MAX_WAYS = 100_000
"""Ways in which one start of a match may fail: with MAX_MATCHED_CHARACTERS starts, at most a second's work."""

_LOOP = re.compile(r"[*+]|\{\d*,\d*\}")
_UNITS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?:|\(\?|\{\d*,?\d*\}|.", re.DOTALL)


def pattern_fault(pattern: str) -> str:
    """Return what is wrong with `pattern`; "" when it may be used.

    Refused: a repeated group (nested repeats fail in exponentially many ways), back-references, look-around and
    flags, and more choices than MAX_WAYS: each open repeat counts MAX_MATCHED_CHARACTERS ways, each "?" and "|" two,
    and all multiply.
    """
    if not pattern or len(pattern) > MAX_PATTERN_CHARACTERS:
        return f"a pattern has 1 to {MAX_PATTERN_CHARACTERS} characters"
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"not a regular expression: {error}"
    units = _UNITS.findall(pattern)
    if any(unit == "(?" or re.fullmatch(r"\\[1-9]", unit) for unit in units):
        return "look-around, flags, named groups and back-references are not taken; use (?:…)"
    if any(_repeats(after) for unit, after in itertools.pairwise(units) if unit == ")"):
        return "a group may not be repeated; repeat single characters or [classes]"
    ways = 1
    for unit in units:
        ways *= MAX_MATCHED_CHARACTERS if _LOOP.fullmatch(unit) else 2 if unit in ("?", "|") else 1
    return "" if ways <= MAX_WAYS else "too many repeats and choices; at most two of * + {m,n} and few of ? |"


def matches(given: str, pattern: str) -> bool:
    """Return whether `pattern` is found in `given`, in any case; a pattern with a fault is found nowhere."""
    if pattern_fault(pattern):
        return False
    return re.search(pattern, given[:MAX_MATCHED_CHARACTERS], re.IGNORECASE) is not None


def _repeats(unit: str) -> bool:
    return unit in ("*", "+", "?") or unit.startswith("{")
