"""Assigns the engine's places for adapters (`engine.loaded_adapters`), and decides which adapter leaves for another.

Two places are reserved, so that versions that must answer always find one:

- All places but two are shared by tenants' versions that are loaded because there is room or because they were asked
  for, by versions on standby, and by what a learner measures.
- A version that replaces its tenant's present one may take one place more: both are loaded until the swap.
- A version whose tenant gets no answers until it is loaded (the one before was revoked) may take the last one.

If these do not suffice, others are unloaded, in this order: what was loaded in vain, because its tenant's pointer moved
meanwhile; retired adapters, oldest first; adapters that a learner has forgotten; standby versions without traffic, the
tenant's own first; versions that answer but are not in use, the least recently used first, which are loaded again when
they are asked for (for a version that was asked for, these leave before standby versions); and for a revocation only,
what learners measure, which they load again later.

Nothing is unloaded for a learner. For a standby version only retired adapters are, and for a version that nobody asked
for, none that answers. What a request uses is never unloaded, nor is a tenant of `serve.resident_tenants`.

A version that was asked for waits until something can be unloaded. While every place stays in use, the tenants that
have been resident for longest get no new requests (their *doors* are closed) until their running ones have ended, and
then leave.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum

from sealserve.engine.engine import AdapterFiles, Engine
from sealserve.errors import NotFound, Unavailable
from sealserve.serving.activation.residents import Residents
from sealserve.serving.activation.retirement import Retirement
from sealserve.serving.adapter_table import AdapterTable, engine_names

LEAST_PLACES = 3
"""One for a version that answers, and the two that stay free."""

FORGOTTEN_SECONDS = 600.0
"""A learner's adapter that was not used for so long counts as forgotten: its learner died, or waits for hours."""

PATIENCE_SECONDS, ROUND_SECONDS = 1.0, 2.0
"""How long a version that was asked for waits before doors are closed, and the time in which every tenant that waits
should have had a turn."""

DOORS_AT_ONCE = 4
"""So many tenants leave at the same time, so that a place is free whenever a load has ended."""

GIVE_UP_SECONDS = 10.0
"""After so long without a place, a version goes to the end of the queue."""

FULL = "ADAPTERS_FULL"


class PlacesFull(Unavailable):
    """Nobody gives way."""

    def __init__(self) -> None:
        super().__init__("every place for an adapter is taken", retry_seconds=30, reason=FULL)


class Need(StrEnum):
    """Why an adapter is loaded."""

    MEASURED = "measured"  # a learner asks questions under it
    BESIDE = "beside"  # it stands by its tenant's active version
    FIRST = "first"  # its tenant has no adapter here yet, and there is room
    ASKED = "asked"  # requests of its tenant wait for it
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

    def __init__(
        self,
        engine: Engine,
        table: AdapterTable,
        retirement: Retirement,
        *,
        places: int,
        residents: Residents | None = None,
    ) -> None:
        self._engine = engine
        self._table = table
        self._retirement = retirement
        self._residents = residents if residents is not None else Residents()
        self.waiting: Callable[[], int] = lambda: 1  # how many tenants wait for a version that was asked for
        self.on_pushed_out: Callable[[str], None] = lambda tenant: None  # called when a tenant had to leave
        self._freed = asyncio.Event()
        self._residents.on_idle = self._freed.set
        table.on_unpinned = lambda engine_name: self._freed.set()
        self._asked_turn = asyncio.Lock()
        self._asking = 0  # versions that were asked for and are not loaded yet
        self._asked_since = 0.0  # since when there has always been one
        self._places = max(places, LEAST_PLACES)
        self._measured: dict[str, _Measured] = {}
        self._own: set[str] = set()  # what was loaded here, as far as it is loaded still
        self._lock = asyncio.Lock()

    def limit(self, need: Need) -> int:
        """Return how many adapters may be loaded, this one included."""
        spare = {Need.AFTER_REVOCATION: 0, Need.INSTEAD: 1}.get(need, 2)
        return self._places - spare

    async def load(self, files: AdapterFiles, *, need: Need, tenant: str = "") -> None:
        """Load the adapter, if need be in the place of others.

        One that was asked for waits until somebody can, behind those that came before it.
        Raises: BadAdapter, Unavailable (ADAPTERS_FULL: nobody gives way).
        """
        if need is not Need.ASKED:
            await self._load_now(files, need=need, tenant=tenant)
            return
        if not self._asking:
            self._asked_since = self._now()
        self._asking += 1
        try:
            async with self._asked_turn:
                await self._load_asked(files, tenant=tenant)
        finally:
            self._asking -= 1

    async def _load_asked(self, files: AdapterFiles, *, tenant: str) -> None:
        began = self._now()
        while not await self._is_loaded_now(files, need=Need.ASKED, tenant=tenant):
            if self._now() - began >= GIVE_UP_SECONDS:
                raise PlacesFull
            patience = self._patience_seconds()
            if self._now() - self._asked_since >= patience:
                doors = min(self.waiting(), DOORS_AT_ONCE)
                self._residents.close_doors(doors, resident_seconds=patience)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._freed.wait(), patience)

    def _patience_seconds(self) -> float:
        """The more tenants wait for one place, the shorter a turn: all have had one after `ROUND_SECONDS`."""
        return min(PATIENCE_SECONDS, ROUND_SECONDS * self.limit(Need.ASKED) / max(1, self.waiting()))

    async def _is_loaded_now(self, files: AdapterFiles, *, need: Need, tenant: str) -> bool:
        self._freed.clear()
        try:
            await self._load_now(files, need=need, tenant=tenant)
        except PlacesFull:
            return False
        return True

    async def _load_now(self, files: AdapterFiles, *, need: Need, tenant: str) -> None:
        async with self._lock:
            if need is Need.MEASURED:
                await self._let_leave(files.name)
            loaded = frozenset((await self._engine.info()).loaded)
            self._measured = {name: one for name, one in self._measured.items() if name in loaded}
            self._own &= loaded
            while len(loaded | {files.name}) > max(self.limit(need), len(loaded) if files.name in loaded else 0):
                if not await self._make_room(need, tenant=tenant):
                    raise PlacesFull
                loaded = frozenset((await self._engine.info()).loaded)
            await self._load(files, need=need, tenant=tenant)
            self._own.add(files.name)
            if need is Need.MEASURED:
                self._measured.setdefault(files.name, _Measured(calls=0, used_seconds=0.0)).used_seconds = self._now()

    def room(self, loaded: int) -> int:
        """Return for how many more tenants a first version can be loaded, `loaded` adapters being loaded now."""
        idle = sum(not self._retirement.is_kept(name) for _, name in self._idle_standbys(""))
        given_way = self._retirement.free + len(self._forgotten()) + idle
        return max(0, self.limit(Need.FIRST) - loaded + given_way)

    @contextmanager
    def measuring(self, name: str | None) -> Iterator[None]:
        """Count a learner's call under the adapter while the body runs. Raises: NotFound (it is being unloaded for
        another).
        """
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
        """Load it. If the engine has fewer places than configured, count with its number from now on."""
        while True:
            try:
                await self._engine.load(files)
            except Unavailable as error:
                if error.reason != FULL:
                    raise
                if not await self._make_room(need, tenant=tenant):
                    raise PlacesFull from error
            else:
                return

    async def _make_room(self, need: Need, *, tenant: str) -> bool:
        """Unload one adapter that gives way; False if there is none."""
        for name in self._own:
            if self._is_left_over(name):
                self._own.discard(name)
                await self._engine.unload(name)
                return True
        if need is not Need.MEASURED and await self._retirement.make_room():
            return True
        for name in self._forgotten():
            await self._push_out(name)
            return True
        if need is Need.ASKED and await self._push_out_resident(tenant):
            return True
        if need not in (Need.MEASURED, Need.BESIDE):
            for owner, name in self._idle_standbys(tenant):
                if not self._retirement.is_kept(name):
                    self._table.drop_standby(owner)
                    await self._engine.unload(name)
                    return True
        if need in (Need.INSTEAD, Need.AFTER_REVOCATION) and await self._push_out_resident(tenant):
            return True
        return need is Need.AFTER_REVOCATION and await self._push_out_measured()

    async def _push_out_resident(self, for_tenant: str) -> bool:
        """Unload the version, and the second one, of the tenant that was used least recently; False if there is none.

        Its route goes first: from then on its requests wait until it is loaded again.
        """
        for tenant in self._residents.oldest_first():
            names = engine_names(self._table.route(tenant), self._table.standby(tenant))
            is_used = any(self._table.pins(name) or self._retirement.is_kept(name) for name in names)
            if tenant == for_tenant or is_used or not names:
                continue
            self._table.withdraw(tenant)
            self._residents.left(tenant, had_to=True)
            for name in names:
                await self._engine.unload(name)
            self.on_pushed_out(tenant)
            return True
        return False

    def _is_left_over(self, name: str) -> bool:
        """Return whether the adapter was loaded for a tenant whose pointer moved meanwhile."""
        is_used = self._table.is_routed(name) or self._table.pins(name) or self._retirement.is_kept(name)
        return not is_used and name not in self._measured and name not in self._retirement

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
