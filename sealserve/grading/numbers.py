"""Numbers in answers: takes a text and the right number, returns a boolean."""

import math
import re

_NUMBER = re.compile(r"(?:(?<![\w.])[-+\u2212])?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,3})?")
_MAX_CHARACTERS = 4000


def number_of(text: str) -> float | None:
    """Return the number that `text` is, thousands commas allowed; None if it is anything else, or not finite."""
    return _value(text.strip()) if _NUMBER.fullmatch(text.strip()) else None


def is_number(given: str, gold: str, *, tolerance: float = 0.0) -> bool:
    """Return whether the last number in `given` differs from `gold` by `tolerance` at most.

    The last one, because answers reason before they conclude (as in GSM8K's usual grading, arXiv 2110.14168).
    """
    wanted, found = number_of(gold), _NUMBER.findall(given[-_MAX_CHARACTERS:])
    said = _value(found[-1]) if found else None
    if wanted is None or said is None:
        return False
    return said == wanted or abs(said - wanted) <= tolerance or math.isclose(said, wanted, rel_tol=1e-12)


def _value(text: str) -> float | None:
    value = float(text.replace(",", "").replace("\u2212", "-"))
    return value if math.isfinite(value) else None
