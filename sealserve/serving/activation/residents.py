"""Tracks the tenants whose versions are loaded: which are in use, when each was last used, and which may be unloaded.

A tenant is *held* by every request of its own from the moment it may enter until its answer has ended, so that its
version does not leave in between. Tenants of `serve.resident_tenants` never leave.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterator

RETURNING_SECONDS = 60.0
"""A tenant that asks again within this time after its version was unloaded counts as returning."""

_MAX_LEFT = 4096


class Residents:
    """Use it from one event loop. No call takes time in proportion to all tenants, only to the resident ones."""

    def __init__(self, *, kept: Collection[str] = ()) -> None:
        """`kept` are the tenants that never leave."""
        self.kept = frozenset(kept)
        self.on_idle: Callable[[], None] = lambda: None  # called when nobody holds a tenant any more
        self._order: OrderedDict[str, None] = OrderedDict()  # least recently used first
        self._since: dict[str, float] = {}  # when each arrived, in that order
        self._holds: Counter[str] = Counter()
        self._closed: dict[str, None] = {}  # they get no new requests: they leave when those inside have ended
        self._left: OrderedDict[str, float] = OrderedDict()  # tenant -> when it had to leave

    def __contains__(self, tenant: str) -> bool:
        return tenant in self._order

    def __iter__(self) -> Iterator[str]:
        return iter(self._order)

    def arrived(self, tenant: str) -> None:
        """The tenant's version is loaded, and was used last."""
        self._order[tenant] = None
        self._order.move_to_end(tenant)
        self._since.setdefault(tenant, _now())
        self._left.pop(tenant, None)

    def left(self, tenant: str, *, had_to: bool = False) -> None:
        """The tenant's version is not loaded any more."""
        self._order.pop(tenant, None)
        self._since.pop(tenant, None)
        self._closed.pop(tenant, None)
        if had_to:
            self._left[tenant] = _now()
            self._left.move_to_end(tenant)
            if len(self._left) > _MAX_LEFT:
                self._left.popitem(last=False)

    def is_returning(self, tenant: str) -> bool:
        """Return whether the tenant had to leave a short while ago."""
        since = self._left.get(tenant)
        return since is not None and _now() - since < RETURNING_SECONDS

    def hold(self, tenant: str) -> None:
        """A request of the tenant may enter: from now on the tenant's version is in use."""
        self._holds[tenant] += 1
        if tenant in self._order:
            self._order.move_to_end(tenant)

    def release(self, tenant: str) -> None:
        """That request has ended."""
        self._holds[tenant] -= 1
        if tenant in self._order:
            self._order.move_to_end(tenant)
        if not self._holds[tenant]:
            del self._holds[tenant]
            self.on_idle()

    def holds(self, tenant: str) -> int:
        """Return how many requests of the tenant may enter or are inside."""
        return self._holds[tenant]

    def oldest_first(self) -> Iterator[str]:
        """Give those that may leave: tenants whose doors are closed, then the others, least recently used first."""
        yield from [tenant for tenant in self._closed if not self._holds[tenant]]
        for tenant in list(self._order):
            if tenant not in self.kept and not self._holds[tenant] and tenant not in self._closed:
                yield tenant

    def is_closed(self, tenant: str) -> bool:
        """Return whether the tenant gets no new requests because it has to leave."""
        return tenant in self._closed

    def close_doors(self, number: int, *, resident_seconds: float) -> None:
        """Close the doors of up to `number` tenants, longest resident first, that have been resident for
        `resident_seconds`.
        """
        latest = _now() - resident_seconds
        for tenant, since in self._since.items():
            if len(self._closed) >= number or since > latest:
                return
            if tenant not in self.kept:
                self._closed[tenant] = None

    def open_all(self) -> tuple[str, ...]:
        """Open every door that is closed; return whose."""
        opened = tuple(self._closed)
        self._closed.clear()
        return opened


def _now() -> float:
    return asyncio.get_running_loop().time()
