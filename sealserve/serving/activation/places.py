"""Who may have which of the engine's places for adapters (`engine.loaded_adapters`), and who gives way to whom.

Two places are kept from everything that is merely useful, so that the versions that have to answer always find one:

- A tenant's first version, a version that stands by, and what a learner measures share all places but two.
- A version that replaces its tenant's present one may take one place more: both are loaded until the swap.
- A version whose tenant gets no answers until it is loaded (the one before was revoked) may take the last one.

Where these do not suffice, others give way, in this order: retired adapters, oldest first; adapters that a learner
has forgotten; versions that stand by without traffic, the tenant's own first; and for a revocation alone, what learners
measure, which they load again later. Nothing gives way to a learner or to a version that stands by, but for
retired adapters to the latter. What is used by a request, or routed to, gives way to nobody.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from sealserve.engine.engine import AdapterFiles, Engine
from sealserve.errors import NotFound, Unavailable
from sealserve.serving.activation.retirement import Retirement
from sealserve.serving.adapter_table import AdapterTable

LEAST_PLACES = 3
"""One for a version that answers, and the two that stay free."""

FORGOTTEN_SECONDS = 600.0
"""A learner's adapter that nobody asked for so long is taken for forgotten: its learner died, or waits for hours."""

FULL = "ADAPTERS_FULL"


class Need(StrEnum):
    """Why an adapter is loaded."""

    MEASURED = "measured"  # a learner asks questions under it
    BESIDE = "beside"  # it stands by its tenant's active version
    FIRST = "first"  # its tenant has no adapter here yet, or gives a share of its requests to this one
    INSTEAD = "instead"  # it replaces its tenant's present version
    AFTER_REVOCATION = "after_revocation"  # its tenant gets no answers until it is loaded


@dataclass(slots=True)
class _Measured:
    """An adapter that a learner had loaded."""

    calls: int
    used_seconds: float  # on the loop's clock
    is_leaving: bool = False


class Places:
    """The places of one engine. Use it from one event loop."""

    def __init__(self, engine: Engine, table: AdapterTable, retirement: Retirement, *, places: int) -> None:
        self._engine = engine
        self._table = table
        self._retirement = retirement
        self._places = max(places, LEAST_PLACES)
        self._measured: dict[str, _Measured] = {}
        self._lock = asyncio.Lock()

    def limit(self, need: Need) -> int:
        """Return how many adapters may be loaded, this one included."""
        spare = {Need.AFTER_REVOCATION: 0, Need.INSTEAD: 1}.get(need, 2)
        return self._places - spare

    async def load(self, files: AdapterFiles, *, need: Need, tenant: str = "") -> None:
        """Load the adapter, if need be in the place of others.

        Raises: BadAdapter, Unavailable (ADAPTERS_FULL: nobody gives way).
        """
        async with self._lock:
            if need is Need.MEASURED:
                await self._let_leave(files.name)
            loaded = (await self._engine.info()).loaded
            self._measured = {name: one for name, one in self._measured.items() if name in loaded}
            over = 0 if files.name in loaded else len(loaded) + 1 - self.limit(need)
            for _ in range(over):
                if not await self._make_room(need, tenant=tenant):
                    raise Unavailable("every place for an adapter is taken", retry_seconds=30, reason=FULL)
            await self._load(files, need=need, tenant=tenant)
            if need is Need.MEASURED:
                self._measured.setdefault(files.name, _Measured(calls=0, used_seconds=0.0)).used_seconds = self._now()

    def room(self, loaded: int) -> int:
        """Return for how many more tenants a first version can be loaded, `loaded` adapters being loaded now."""
        idle = sum(not self._retirement.is_kept(name) for _, name in self._idle_standbys(""))
        given_way = self._retirement.free + len(self._forgotten()) + idle
        return max(0, self.limit(Need.FIRST) - loaded + given_way)

    @contextmanager
    def measuring(self, name: str | None) -> Iterator[None]:
        """Count a learner's call under the adapter while the body runs. Raises: NotFound (it has to give way)."""
        found = self._measured.get(name) if name is not None else None
        if found is None:
            yield
            return
        if found.is_leaving:
            raise NotFound(str(name), kind="loaded adapter")
        found.calls += 1
        try:
            yield
        finally:
            found.calls -= 1
            found.used_seconds = self._now()

    def forget(self, name: str) -> None:
        """The learner has unloaded the adapter itself."""
        self._measured.pop(name, None)

    async def _load(self, files: AdapterFiles, *, need: Need, tenant: str) -> None:
        """Load it; an engine with fewer places than it was said to have is taken at its word."""
        while True:
            try:
                await self._engine.load(files)
            except Unavailable as error:
                if error.reason != FULL or not await self._make_room(need, tenant=tenant):
                    raise
            else:
                return

    async def _make_room(self, need: Need, *, tenant: str) -> bool:
        """Unload one adapter that gives way; False if there is none."""
        if need is not Need.MEASURED and await self._retirement.make_room():
            return True
        for name in self._forgotten():
            await self._push_out(name)
            return True
        if need in (Need.FIRST, Need.INSTEAD, Need.AFTER_REVOCATION):
            for owner, name in self._idle_standbys(tenant):
                if not self._retirement.is_kept(name):
                    self._table.drop_standby(owner)
                    await self._engine.unload(name)
                    return True
        return need is Need.AFTER_REVOCATION and await self._push_out_measured()

    def _idle_standbys(self, first: str) -> list[tuple[str, str]]:
        """Return (tenant, engine name) of each."""
        found = [standby.route for standby in self._table.idle_standbys(first=first)]
        return [(route.tenant, route.engine_name) for route in found if route.engine_name is not None]

    def _forgotten(self) -> list[str]:
        oldest = self._now() - FORGOTTEN_SECONDS
        return [name for name, one in self._measured.items() if not one.calls and one.used_seconds <= oldest]

    async def _let_leave(self, name: str) -> None:
        """Unload the adapter if it has to give way. Raises: Unavailable (calls under it have yet to end)."""
        found = self._measured.get(name)
        if found is not None and found.is_leaving:
            if found.calls:
                raise Unavailable("the adapter gives way to a tenant's version", reason=FULL)
            await self._push_out(name)

    async def _push_out_measured(self) -> bool:
        """Unload a measured adapter; if all are asked something, let one of them end: it gets no new calls."""
        for name, one in self._measured.items():
            if not one.calls:
                await self._push_out(name)
                return True
        if self._measured and not any(one.is_leaving for one in self._measured.values()):
            next(iter(self._measured.values())).is_leaving = True
        return False

    async def _push_out(self, name: str) -> None:
        del self._measured[name]
        await self._engine.unload(name)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
