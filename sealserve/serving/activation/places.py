"""Assigns the engine's places for adapters (`engine.loaded_adapters`), and decides which adapter leaves for another.

Two places are reserved, so that versions that must answer always find one:

- All places but two are shared by tenants' versions that were asked for, or are loaded because there is room (64 at
  most), by versions on standby, and by what a learner measures.
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

Who leaves for whom is decided at once, and the engine unloads and loads afterwards, several adapters at the same time:
it carries out whatever came in during one of its steps before the next.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from sealserve.engine.engine import AdapterFiles, Engine
from sealserve.errors import NotFound, Unavailable
from sealserve.records.inference import EngineInfo, EngineState
from sealserve.serving.activation.residents import Residents
from sealserve.serving.activation.retirement import Retirement
from sealserve.serving.adapter_table import AdapterTable, engine_names

LEAST_PLACES = 3
"""One for a version that answers, and the two that stay free."""

MOST_UNASKED = 64
"""So many versions are loaded unasked at most: a server that starts is not ready before they are."""

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
        self._arriving: Counter[str] = Counter()  # what is being loaded: it has its place already
        self._leaving: dict[str, asyncio.Task[bool]] = {}  # what is being unloaded: it has none any more

    def limit(self, need: Need) -> int:
        """Return how many adapters may be loaded, this one included."""
        spare = {Need.AFTER_REVOCATION: 0, Need.INSTEAD: 1}.get(need, 2)
        most = MOST_UNASKED if need is Need.FIRST else self._places
        return min(self._places - spare, most)

    async def load(self, files: AdapterFiles, *, need: Need, tenant: str = "") -> None:
        """Load the adapter, if need be in the place of others.

        One that was asked for waits until somebody can leave, behind those that came before it.
        Raises: BadAdapter, Unavailable (ADAPTERS_FULL: nobody gives way).
        """
        if need is not Need.ASKED:
            await self._take_place(files.name, need=need, tenant=tenant)
            await self._load(files, need=need, tenant=tenant)
            return
        if not self._asking:
            self._asked_since = self._now()
        self._asking += 1
        try:
            async with self._asked_turn:
                await self._wait_for_place(files.name, tenant=tenant)
            await self._load(files, need=need, tenant=tenant)
        finally:
            self._asking -= 1

    async def _wait_for_place(self, name: str, *, tenant: str) -> None:
        began = self._now()
        while not await self._has_place_now(name, tenant=tenant):
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

    async def _has_place_now(self, name: str, *, tenant: str) -> bool:
        self._freed.clear()
        try:
            await self._take_place(name, need=Need.ASKED, tenant=tenant)
        except PlacesFull:
            return False
        return True

    async def _take_place(self, name: str, *, need: Need, tenant: str) -> None:
        """Give the adapter a place, and have others leave for it if need be. Raises: Unavailable."""
        if need is Need.MEASURED:
            self._let_leave(name)
        while (removal := self._leaving.get(name)) is not None:
            await asyncio.wait((removal,))
        loaded = self._loaded(await self._engine.info())
        while len(loaded | {name}) > max(self.limit(need), len(loaded) if name in loaded else 0):
            if not self._make_room(need, tenant=tenant):
                raise PlacesFull
            loaded -= self._leaving.keys()
        self._arriving[name] += 1

    def _loaded(self, info: EngineInfo) -> frozenset[str]:
        """Return the adapters that have a place. Forget those that the engine does not have any more."""
        loaded = (frozenset(info.loaded) | self._arriving.keys()) - self._leaving.keys()
        if info.state is EngineState.SERVING:  # one that is being built again has lost nothing for good
            self._measured = {name: one for name, one in self._measured.items() if name in loaded}
            self._own &= loaded
        return loaded

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
        """Load the adapter into the place that it has. More leave if the engine has fewer places than configured."""
        try:
            while not await self._fits(files):
                if not self._make_room(need, tenant=tenant):
                    raise PlacesFull
            self._own.add(files.name)
            if need is Need.MEASURED:
                self._measured.setdefault(files.name, _Measured(calls=0, used_seconds=0.0)).used_seconds = self._now()
        finally:
            self._arriving -= Counter((files.name,))
            self._freed.set()

    async def _fits(self, files: AdapterFiles) -> bool:
        """Load the adapter and return True, or False if the engine has no place for it."""
        try:  # as a task it begins after the removals that were begun before: the engine gets them in this order
            await asyncio.create_task(self._engine.load(files))
        except Unavailable as error:
            if error.reason != FULL:
                raise
            return False
        return True

    def _make_room(self, need: Need, *, tenant: str) -> bool:
        """Begin to unload an adapter that gives way; False if there is none."""
        for name in self._own:
            if self._is_left_over(name):
                self._unload(name)
                return True
        if need is not Need.MEASURED and (oldest := self._retirement.take_oldest()):
            self._unload(oldest)
            return True
        for name in self._forgotten():
            self._unload(name)
            return True
        if need is Need.ASKED and self._push_out_resident(tenant):
            return True
        if need not in (Need.MEASURED, Need.BESIDE):
            for owner, name in self._idle_standbys(tenant):
                if not self._retirement.is_kept(name):
                    self._table.drop_standby(owner)
                    self._unload(name)
                    return True
        if need in (Need.INSTEAD, Need.AFTER_REVOCATION) and self._push_out_resident(tenant):
            return True
        return need is Need.AFTER_REVOCATION and self._push_out_measured()

    def _unload(self, name: str) -> None:
        """Begin to unload the adapter, which nothing leads to any more."""
        self._own.discard(name)
        self._measured.pop(name, None)
        self._leaving[name] = removal = asyncio.create_task(self._engine.unload(name), name=f"unload {name}")
        removal.add_done_callback(partial(self._unloaded, name))

    def _unloaded(self, name: str, removal: asyncio.Task[bool]) -> None:
        del self._leaving[name]
        if not removal.cancelled() and removal.exception() is not None:
            self._own.add(name)  # the engine was lost; once it is back the adapter is left over

    def _push_out_resident(self, for_tenant: str) -> bool:
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
                self._unload(name)
            self.on_pushed_out(tenant)
            return True
        return False

    def _is_left_over(self, name: str) -> bool:
        """Return whether the adapter was loaded for a tenant whose pointer moved meanwhile."""
        is_used = self._table.is_routed(name) or self._table.pins(name) or self._retirement.is_kept(name)
        is_known = name in self._measured or name in self._retirement or name in self._arriving
        return not is_used and not is_known

    def _idle_standbys(self, first: str) -> list[tuple[str, str]]:
        """Return (tenant, engine name) of each."""
        found = [standby.route for standby in self._table.idle_standbys(first=first)]
        return [(route.tenant, route.engine_name) for route in found if route.engine_name is not None]

    def _forgotten(self) -> list[str]:
        oldest = self._now() - FORGOTTEN_SECONDS
        idle = (name for name, one in self._measured.items() if not one.calls and one.used_seconds <= oldest)
        return [name for name in idle if name not in self._arriving]

    def _let_leave(self, name: str) -> None:
        """Unload the adapter if it has to give way. Raises: Unavailable (calls under it have yet to end)."""
        found = self._measured.get(name)
        if found is not None and found.is_leaving:
            if found.calls:
                raise Unavailable("the adapter gives way to a tenant's version", reason=FULL)
            self._unload(name)

    def _push_out_measured(self) -> bool:
        """Unload a measured adapter; if all are asked something, let one of them end: it gets no new calls."""
        for name, one in self._measured.items():
            if not one.calls and name not in self._arriving:
                self._unload(name)
                return True
        if self._measured and not any(one.is_leaving for one in self._measured.values()):
            next(iter(self._measured.values())).is_leaving = True
        return False

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
