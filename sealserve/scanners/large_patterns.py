"""RE2 patterns of many alternatives, with room for their automata."""

from typing import Any

import re2

_MEMORY_BYTES = 32 * 2**20
"""RE2's own 8 MiB are too few for hundreds of words in any case and script: it would fall back to what is ten times as
slow. Taken only as a text needs it, in the process that reads it."""


def compiled(pattern: str) -> Any:
    """Return the pattern, compiled."""
    options = re2.Options()
    options.max_mem = _MEMORY_BYTES
    return re2.compile(pattern, options)
