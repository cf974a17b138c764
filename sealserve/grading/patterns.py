"""Regular expressions that a tenant may set as the rule for an answer.

RE2 matches them in time linear in the text, so no pattern can keep the matcher busy
(https://github.com/google/re2/wiki/WhyRE2). Its syntax is https://github.com/google/re2/wiki/Syntax.
"""

import re
from functools import lru_cache
from typing import Any

import re2

MAX_PATTERN_CHARACTERS = 200
MAX_MATCHED_CHARACTERS = 8000
"""Only this much of an answer is looked at."""

MAX_PATTERN_BYTES = 2**18
"""RE2's `max_mem`: it refuses a pattern whose program would be larger. Matching costs text times program at worst: on
MAX_MATCHED_CHARACTERS characters the largest program, of 10,000 instructions, takes half a second."""

_LOOK_AROUND = re.compile(r"\(\?<?[=!]")
_BACK_REFERENCE = re.compile(r"\\[1-9]|\\k")


def pattern_fault(pattern: str) -> str:
    """Return what is wrong with `pattern`; "" when it may be used.

    Refused: more than MAX_PATTERN_CHARACTERS, and whatever RE2 does not take, such as look-around, back-references and
    more than 1,000 repeats.
    """
    if not pattern or len(pattern) > MAX_PATTERN_CHARACTERS:
        return f"a pattern has 1 to {MAX_PATTERN_CHARACTERS} characters"
    try:
        _compiled(pattern, is_case_sensitive=True)
    except UnicodeEncodeError:
        return "a pattern is Unicode text without lone surrogates"
    except re2.error as error:
        return _named(error, pattern)
    return ""


def matches(given: str, pattern: str, *, is_case_sensitive: bool = False) -> bool:
    """Return whether `pattern` is found in `given`; a pattern with a fault is found nowhere.

    A line break at the end of `given` does not count: `$` matches before it.
    """
    if pattern_fault(pattern):
        return False
    text = given[:MAX_MATCHED_CHARACTERS].removesuffix("\n").encode(errors="replace").decode()
    return _compiled(pattern, is_case_sensitive=is_case_sensitive).search(text) is not None


def matches_whole(given: str, pattern: str) -> bool:
    """Return whether all of `given` matches `pattern`; nothing matches a pattern with a fault."""
    if pattern_fault(pattern) or len(given) > MAX_MATCHED_CHARACTERS:
        return False
    return _compiled(pattern, is_case_sensitive=True).fullmatch(given.encode(errors="replace").decode()) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str, *, is_case_sensitive: bool) -> Any:
    """Raises: re2.error, UnicodeEncodeError."""
    options = re2.Options()
    options.case_sensitive = is_case_sensitive
    options.max_mem = MAX_PATTERN_BYTES
    options.log_errors = False  # the log would quote the tenant's pattern
    return re2.compile(pattern, options)


def _named(error: Exception, pattern: str) -> str:
    """Return RE2's message, and the plain name of what it does not support."""
    (what,) = error.args
    message = what.decode(errors="replace") if isinstance(what, bytes) else str(what)
    if _LOOK_AROUND.search(message):
        return f"look-around is not supported ({message})"
    if _BACK_REFERENCE.search(message) or "(?P=" in pattern:
        return f"back-references are not supported ({message})"
    return f"not a regular expression that RE2 takes: {message}"
