"""Decides which of the versions that requests wait for is loaded next.

There are two first-in, first-out queues that take turns: tenants that were evicted lately, and all others. So a crowd
of tenants with one request each delays a tenant that keeps asking by one load only, and vice versa.
"""

from collections import OrderedDict


class LoadQueue:
    """Tenants in line, each once. Every call takes constant time."""

    def __init__(self) -> None:
        self._lines: tuple[OrderedDict[str, None], OrderedDict[str, None]] = (OrderedDict(), OrderedDict())
        self._next = 0

    def __len__(self) -> int:
        return sum(map(len, self._lines))

    def __contains__(self, tenant: str) -> bool:
        return any(tenant in line for line in self._lines)

    def add(self, tenant: str, *, is_returning: bool) -> None:
        """Put the tenant at the end of its line, if it is in none."""
        if tenant not in self:
            self._lines[0 if is_returning else 1][tenant] = None

    def pop(self) -> str | None:
        """Return the tenant whose turn it is, out of the line now; None if nobody waits."""
        line = self._lines[self._next] or self._lines[1 - self._next]
        if not line:
            return None
        self._next = 1 if line is self._lines[0] else 0
        return line.popitem(last=False)[0]

    def remove(self, tenant: str) -> None:
        """Take the tenant out of its line, if it is in one."""
        for line in self._lines:
            line.pop(tenant, None)
