"""Adapters that were routed to and are no more: kept for a rollback, unloaded when nobody can need them.

An adapter is unloaded when no request uses it, it is not routed to, and its rollback window has closed or the tenant
has left enough later ones behind.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sealserve.engine.engine import Engine
from sealserve.serving.adapter_table import AdapterTable

KEPT_PER_TENANT = 2
"""A rollback goes to the version before; one more is kept for a rollback of a rollback."""


class Retirement:
    """The retired adapters of one engine. Use it from one event loop."""

    def __init__(self, engine: Engine, table: AdapterTable, *, window_seconds: float) -> None:
        self._engine = engine
        self._table = table
        self._window_seconds = window_seconds
        self._retired: dict[str, tuple[str, float]] = {}  # engine name -> (tenant, since), oldest first
        self._kept: Counter[str] = Counter()

    def add(self, tenant: str, engine_name: str) -> None:
        """Count the adapter as retired from now."""
        self._retired.pop(engine_name, None)
        self._retired[engine_name] = (tenant, asyncio.get_running_loop().time())

    @contextmanager
    def kept(self, engine_name: str) -> Iterator[None]:
        """Never unload the adapter while the body runs: it is about to be routed to."""
        self._kept[engine_name] += 1
        try:
            yield
        finally:
            self._kept[engine_name] -= 1

    async def sweep(self) -> None:
        """Unload what nobody can need any more."""
        routed = self._table.routed_names()
        for name in [name for name in self._retired if name in routed]:
            del self._retired[name]
        now = asyncio.get_running_loop().time()
        later: Counter[str] = Counter()
        for name, (tenant, since) in reversed(list(self._retired.items())):
            later[tenant] += 1
            is_over = now - since >= self._window_seconds or later[tenant] > KEPT_PER_TENANT
            if is_over and self._is_free(name):
                await self._unload(name)

    async def make_room(self) -> bool:
        """Unload the oldest retired adapter that no request uses, its window open or not; False if there is none."""
        for name in list(self._retired):
            if self._is_free(name):
                await self._unload(name)
                return True
        return False

    def _is_free(self, name: str) -> bool:
        is_used = self._table.pins(name) or self._kept[name] or name in self._table.routed_names()
        return not is_used

    async def _unload(self, name: str) -> None:
        await self._engine.unload(name)
        self._retired.pop(name, None)
