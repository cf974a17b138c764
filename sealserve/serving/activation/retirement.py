"""Keeps adapters that no longer answer for a rollback, and unloads them when nothing can need them.

An adapter is unloaded when no request uses it, it is not routed to, and its rollback window has closed, the tenant has
left enough later ones behind, or it was revoked.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sealserve.engine.engine import Engine
from sealserve.serving.adapter_table import AdapterTable, Route

KEPT_PER_TENANT = 2
"""A rollback goes to the version before; one more is kept for a rollback of a rollback."""


class Retirement:
    """The retired adapters of one engine. Use it from one event loop."""

    def __init__(self, engine: Engine, table: AdapterTable, *, window_seconds: float) -> None:
        self._engine = engine
        self._table = table
        self._window_seconds = window_seconds
        self._retired: dict[str, tuple[Route, float]] = {}  # engine name -> (route, since), oldest first
        self._revoked: set[str] = set()  # of these, those that may not answer any more
        self._kept: Counter[str] = Counter()

    def add(self, route: Route, *, is_revoked: bool = False) -> None:
        """Count the route's adapter as retired from now; one that may not answer any more is not kept."""
        if route.engine_name is None:
            return
        self._retired.pop(route.engine_name, None)
        self._retired[route.engine_name] = (route, asyncio.get_running_loop().time())
        if is_revoked:
            self._revoked.add(route.engine_name)

    def __contains__(self, engine_name: str) -> bool:
        return engine_name in self._retired

    def find(self, tenant: str, version: int) -> Route | None:
        """Return the route of a retired version, as it was; None if it is not there."""
        found = (route for route, _ in self._retired.values() if (route.tenant, route.version) == (tenant, version))
        return next(found, None)

    def in_use(self, tenant: str) -> list[Route]:
        """Return the routes of the tenant's retired versions that requests still use."""
        own = (route for name, (route, _) in self._retired.items() if self._table.pins(name))
        return [route for route in own if route.tenant == tenant]

    @contextmanager
    def kept(self, engine_name: str) -> Iterator[None]:
        """Never unload the adapter while the body runs: it is about to be routed to."""
        self._kept[engine_name] += 1
        try:
            yield
        finally:
            self._kept[engine_name] -= 1
            if not self._kept[engine_name]:
                del self._kept[engine_name]

    def is_kept(self, engine_name: str) -> bool:
        """Return whether the adapter is about to be routed to."""
        return self._kept[engine_name] > 0

    async def sweep(self) -> None:
        """Unload what nobody can need any more."""
        for name in [name for name in self._retired if self._table.is_routed(name)]:
            self._drop(name)
        now = asyncio.get_running_loop().time()
        later: Counter[str] = Counter()
        for name, (route, since) in reversed(list(self._retired.items())):
            later[route.tenant] += 1
            is_over = now - since >= self._window_seconds or later[route.tenant] > KEPT_PER_TENANT
            if (is_over or name in self._revoked) and self._is_free(name):
                await self._unload(name)

    @property
    def free(self) -> int:
        """How many retired adapters could be unloaded now."""
        return sum(map(self._is_free, self._retired))

    def take_oldest(self) -> str | None:
        """Return the oldest retired adapter that no request uses, its window open or not; None if there is none.

        It does not count as retired any more: nothing leads to it, and the caller unloads it.
        """
        name = next(filter(self._is_free, self._retired), None)
        if name is not None:
            self._drop(name)
        return name

    def _is_free(self, name: str) -> bool:
        is_used = self._table.pins(name) or self._kept[name] or self._table.is_routed(name)
        return name in self._retired and not is_used

    async def _unload(self, name: str) -> None:
        entry, is_revoked = self._retired.pop(name), name in self._revoked  # first: nobody may route to it any more
        self._revoked.discard(name)
        try:
            await self._engine.unload(name)
        except BaseException:
            self._retired[name] = entry  # still loaded: tried again
            self._revoked |= {name} if is_revoked else set()
            raise

    def _drop(self, name: str) -> None:
        self._retired.pop(name, None)
        self._revoked.discard(name)
