"""How many calls the fuzz tests play, and whether the process that serves them grows meanwhile.

`SEALSERVE_FUZZ_CALLS=100000` has each file of fuzz tests play about so many.
"""

import math
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

PAGE_BYTES = 4096
KEPT, ROUNDS = 300, 4
MOST_GROWTH_MIB = 24.0
"""What repeating the same calls may add: an allocator's slack. With 100,000 calls it is a kibibyte a call."""


def examples(few: int, *, of: int) -> hypothesis_settings:
    """Return settings for `few` examples, of `of` that the file plays; for more if more were asked for."""
    return hypothesis_settings(
        max_examples=max(few, math.ceil(few * _wanted() / of)),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


class Calls:
    """The calls that a file plays: how they ended, and some of them to repeat."""

    def __init__(self) -> None:
        self.ends: Counter[str] = Counter()
        self._repeatable: list[Callable[[], object]] = []

    def play(self, call: Callable[[], Any], end: Callable[[Any], str]) -> Any:
        """Make the call, count how it ended, and return its answer."""
        answer = call()
        self.ends[end(answer)] += 1
        if len(self._repeatable) < KEPT:
            self._repeatable.append(call)
        return answer

    def growth_mib(self) -> float:
        """Return how many MiB this process grows by while the kept calls are repeated, after it has seen them twice."""
        for _ in range(2):
            self._repeat()
        before = _rss_mib()
        for _ in range(max(ROUNDS, _wanted() // (4 * KEPT))):
            self._repeat()
        return _rss_mib() - before

    def tell(self, name: str) -> None:
        """Print how many calls ended how; `pytest -s` shows it."""
        print(f"\n{name}: {self.ends.total()} calls, {dict(self.ends.most_common())}, {_rss_mib():.0f} MiB")

    def _repeat(self) -> None:
        for call in self._repeatable:
            call()


def _wanted() -> int:
    return int(os.environ.get("SEALSERVE_FUZZ_CALLS", "0"))


def _rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * PAGE_BYTES / 2**20
