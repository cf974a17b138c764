"""Decides which of the versions that requests wait for is loaded next.

First come, first served, in two queues: tenants that were evicted lately, and all others. Whatever came first of both
is next, so that nobody is served twice while another waits. But a crowd of tenants with one request each delays a
tenant that keeps asking by `PATIENCE_SECONDS` and one load only: from then on the queues take turns.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

PATIENCE_SECONDS = 4.0
"""How long others may be served before a tenant that was evicted lately: 40 to 60 loads on two cores."""


class LoadQueue:
    """Tenants in line, each once. Every call takes constant time. `clock` gives seconds."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._returning: OrderedDict[str, float] = OrderedDict()  # tenant -> since when it waits
        self._others: OrderedDict[str, float] = OrderedDict()
        self._is_others_turn = False

    def __len__(self) -> int:
        return len(self._returning) + len(self._others)

    def __contains__(self, tenant: str) -> bool:
        return tenant in self._returning or tenant in self._others

    def add(self, tenant: str, *, is_returning: bool) -> None:
        """Put the tenant at the end of its line, if it is in none."""
        if tenant not in self:
            line = self._returning if is_returning else self._others
            line[tenant] = self._clock()

    def pop(self) -> str | None:
        """Return the tenant whose turn it is, out of the line now; None if nobody waits."""
        line = self._next_line()
        if not line:
            return None
        self._is_others_turn = line is self._returning
        return line.popitem(last=False)[0]

    def remove(self, tenant: str) -> None:
        """Take the tenant out of its line, if it is in one."""
        self._returning.pop(tenant, None)
        self._others.pop(tenant, None)

    def _next_line(self) -> OrderedDict[str, float]:
        if not (self._returning and self._others):
            return self._returning or self._others
        since, since_other = next(iter(self._returning.values())), next(iter(self._others.values()))
        if self._clock() - since >= PATIENCE_SECONDS:
            return self._others if self._is_others_turn else self._returning
        return self._returning if since < since_other else self._others
