"""Make what answers (observed) equal what should answer (desired), tenant by tenant, and record it.

At every look, which reads only what has changed, what was revoked stops answering first, whatever is loaded and however
full the engine is: the tenant gets the desired version at once if that is loaded, else it is refused (ADAPTER_LOADING)
until it is. Then, for each tenant whose activation differs: check the artifact, load, probe, swap, record. A version
that cannot be served is quarantined, which moves the tenant's pointer back. After a mere promotion the old version goes
on answering meanwhile.

Not every tenant's version is loaded. Those that changed last are, as long as there is room; all others are *cold*:
their first request has theirs loaded, in turn (`activation/load_queue.py`), in the place of the least recently used
(`activation/places.py`). One tenant's trouble is its own task and never holds up another; a tenant that failed is tried
again later and later.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import perf_counter

import structlog

from sealserve.engine.engine import Engine
from sealserve.errors import NotFound, SealserveError, Unavailable, UnfitSettings, UnknownSigner
from sealserve.records.inference import EngineInfo, EngineState
from sealserve.records.rollouts import Desired, Standby
from sealserve.records.versions import BASE_VERSION, Activation, AdapterVersion, Observed
from sealserve.registry.registry import Registry
from sealserve.serving.activation.back_off import BackOff
from sealserve.serving.activation.knowledge import Knowledge
from sealserve.serving.activation.load_queue import LoadQueue
from sealserve.serving.activation.places import Need, Places
from sealserve.serving.activation.residents import Residents
from sealserve.serving.activation.retirement import Retirement
from sealserve.serving.activation.version_loader import ACTOR, VersionLoader
from sealserve.serving.activation.withdrawal import Withdrawal, base_route
from sealserve.serving.adapter_table import AdapterTable, Route, engine_names
from sealserve.serving.adapter_table import Standby as StandbyRoute
from sealserve.serving.residency import Residency
from sealserve.telemetry import Telemetry
from sealserve.telemetry.names import Attribute, LogEvent, Span
from sealserve.telemetry.traces import Attributes

WAITING_RETRY_SECONDS = 30.0
"""What a caller is told to wait for an operator."""

LOADS_AT_ONCE = 4
"""Versions that were asked for and are loaded at the same time; the engine takes one after the other."""

_ASK_AGAIN_SECONDS = 0.05  # after an attempt that ended without a route
_SWAPS_KEPT, _LOOKS_KEPT = 4096, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """A tenant's route was replaced. `observed_seconds` is the time since the activation was recorded."""

    route: Route
    flip_seconds: float
    observed_seconds: float


def _trust(version: AdapterVersion) -> None:
    return


class Activator:
    """One replica's loop from the registry to the adapter table. Use it from one event loop."""

    def __init__(
        self,
        registry: Registry,
        engine: Engine,
        *,
        table: AdapterTable,
        replica: str,
        poll_seconds: float,
        rollback_window_seconds: float,
        loaded_adapters: int = 64,
        resident_tenants: Sequence[str] = (),
        adapter_wait_seconds: float = 30.0,
        max_waiting_per_tenant: int = 32,
        telemetry: Telemetry | None = None,
        require_seal: Callable[[AdapterVersion], None] = _trust,
        open_or_find_standby: Callable[[str], Standby | None] | None = None,
    ) -> None:
        """`require_seal` raises BadAdapter for a version that is not what was signed, UnknownSigner if nobody here can
        tell (`Seals.require`).

        `open_or_find_standby` returns, before every swap, the version beside the active one. It may write: it opens a
        rollout, which moves traffic and leads to another look.
        """
        self._registry = registry
        self._open_or_find_standby = open_or_find_standby or registry.rollouts.standby
        self._engine = engine
        self._table = table
        self._replica = replica
        self._poll_seconds = poll_seconds
        self._telemetry = telemetry or Telemetry.off()
        self._residents = Residents(kept=resident_tenants)
        self.residency = Residency(
            table, self._residents, wait_seconds=adapter_wait_seconds, max_waiting_per_tenant=max_waiting_per_tenant
        )
        self.residency.meet, self.residency.ask = self._meet, self._ask
        self._retirement = Retirement(engine, table, window_seconds=rollback_window_seconds)
        self.places = Places(engine, table, self._retirement, places=loaded_adapters, residents=self._residents)
        self.places.on_pushed_out = self._pushed_out
        self.places.waiting = lambda: len(self._queue) + len(self._loading)
        self._withdrawal = Withdrawal(registry, table, residents=self._residents, retirement=self._retirement)
        self._loader = VersionLoader(
            registry,
            engine,
            places=self.places,
            retirement=self._retirement,
            telemetry=self._telemetry,
            require_seal=require_seal,
            on_quarantined=self.wake,
        )
        self._knowledge = Knowledge(registry)
        self._unmet = set(resident_tenants)
        self._log = structlog.get_logger("sealserve.activator")
        self.swaps: deque[Swap] = deque(maxlen=_SWAPS_KEPT)
        self.look_seconds: deque[float] = deque(maxlen=_LOOKS_KEPT)
        self._begin_empty()

    def _begin_empty(self) -> None:
        """Know of nothing that was done."""
        self._wake = asyncio.Event()
        self._due: dict[str, None] = {}  # tenants of which something may be left to do
        self._queue = LoadQueue(clock=lambda: asyncio.get_running_loop().time())
        self._loading: set[str] = set()  # tenants whose versions are loaded because they were asked for
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._back_off = BackOff()
        self._recorded: dict[str, int] = {}  # tenant -> activation this replica has recorded as observed
        self._opened: dict[str, int] = {}  # tenant -> activation whose rollout was opened, if it is to have one
        self._settled: dict[str, Standby | None] = {}  # tenant -> what the registry said of its second version
        self._build: int | None = None  # the engine's number of rebuilds at the last look
        self._tried: set[str] = set()  # tenants whose versions were loaded into this build, or failed to be
        self._ready_build: int | None = None  # the build that all versions that were due were tried in
        self._waiting: dict[str, str] = {}  # tenant -> why its version waits for an operator

    def wake(self) -> None:
        """Look again at once: something was promoted, rolled back or rebuilt."""
        self._wake.set()

    def is_resident(self, tenant: str) -> bool:
        """Return whether an adapter of the tenant is loaded here and answers."""
        return tenant in self._residents

    def is_settled(self, info: EngineInfo) -> bool:
        """Return whether, since the engine was last built, every version there is room for was loaded or found
        impossible to.

        What is promoted or asked for later does not change it.
        """
        return self._ready_build is not None and self._ready_build == info.rebuilds

    def record_again(self) -> None:
        """Record anew what this replica observes: the registry has forgotten it."""
        self._due.update(dict.fromkeys(self._recorded))
        self._recorded.clear()
        self.wake()

    async def run(self) -> None:
        """Look and act until cancelled."""
        try:
            while True:
                self._wake.clear()
                await self._look()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._poll_seconds)
        finally:
            await self._stop()

    async def settle(self) -> None:
        """Look until nothing is left to do at once. At start: before the first request is let in.

        Raises: StorageFailed (the registry cannot be read).
        """
        self._back_off.clear()
        self._wake.set()
        while self._wake.is_set():
            self._wake.clear()
            await self._begin()
            is_work_done = bool(self._tasks)
            while self._tasks:
                await asyncio.wait(self._tasks.values())
            if is_work_done and self._ready_build is None:
                self._wake.set()  # there may be more tenants than were tried at once

    async def quarantine(self, engine_names: Iterable[str], *, reason: str) -> None:
        """Quarantine the versions behind these names; names this replica never loaded are passed over."""
        await self._loader.quarantine(engine_names, reason=reason)

    async def suspend(self, engine_names: Iterable[str], *, reason: str) -> None:
        """Take the versions behind these names out of service: the ones before them answer."""
        await self._move_suspended(self._registry.versions.suspend, engine_names, reason=reason)

    async def resume(self, engine_names: Iterable[str], *, reason: str) -> None:
        """Put those of these suspended versions back into service that nobody has replaced meanwhile."""
        await self._move_suspended(self._registry.versions.resume, engine_names, reason=reason)

    async def _move_suspended(
        self, move: Callable[..., Activation | None], engine_names: Iterable[str], *, reason: str
    ) -> None:
        for tenant, version in self._loader.known(engine_names):
            moved = await asyncio.to_thread(move, tenant, version, actor=ACTOR, reason=reason)
            if moved is not None:
                self._log.warning(
                    LogEvent.VERSION_SUSPECTED, tenant=tenant, version=version, kind=moved.kind, reason=reason
                )
                self.wake()

    # a look

    async def _look(self) -> None:
        started = perf_counter()
        try:
            await self._begin()
            self.look_seconds.append(perf_counter() - started)
        except SealserveError as error:
            self._log.warning(LogEvent.REGISTRY_NOT_READ, reason=error.reason)

    async def _begin(self) -> None:
        """Withdraw what was revoked, start a task for each tenant that needs one, and retire what nobody needs."""
        await self._read_changes()
        info = await self._engine.info()
        loaded = frozenset(info.loaded)
        for tenant in await self._withdrawal.apply(self._due_now(), loaded=loaded):
            self._back_off.forget(tenant)
        if info.state is not EngineState.SERVING:
            return
        self._notice_build(info.rebuilds)
        self._notice_lost(loaded)
        cold = self._start(loaded=loaded)
        await self._record_cold(cold)
        await self._retirement.sweep()
        self._telemetry.metrics.adapters_loaded(len(info.loaded))

    async def _read_changes(self) -> None:
        """Read what changed. Whoever has no route yet is refused until it has the desired one.

        But a tenant whose first version was promoted while this replica ran had the base model until now, and keeps it.
        """
        is_first_look = self._knowledge.is_new
        for desired in await self._knowledge.changes():
            self._due[desired.tenant] = None
            if desired.activation == 1 and not is_first_look and not self._table.is_known(desired.tenant):
                self._table.swap(base_route(desired, activation=0))
            elif desired.version != BASE_VERSION:
                self._table.expect((desired.tenant,))
        for tenant in tuple(self._unmet):
            with suppress(NotFound):  # once it is made, its first change is read
                await self._knowledge.find(tenant)
                self._due[tenant] = None
            self._unmet.discard(tenant)
        self._table.expect_everybody()
        if self._knowledge.has_more:
            self.wake()

    def _due_now(self) -> list[Desired]:
        found = (self._knowledge.get(tenant) for tenant in self._due)
        return [desired for desired in found if desired is not None]

    def _notice_build(self, rebuilds: int) -> None:
        """A new engine: what failed in the one before may load in this one."""
        if rebuilds != self._build:
            self._build = rebuilds
            self._tried.clear()
            self._back_off.clear()
            for tenant in self.residency.waited_for():
                self._ask(tenant)

    def _notice_lost(self, loaded: frozenset[str]) -> None:
        """What the engine lost has to be loaded again."""
        for tenant in self._residents:
            if not engine_names(self._table.route(tenant), self._table.standby(tenant)) <= loaded:
                self._due[tenant] = None

    def _needs_work(self, desired: Desired, *, loaded: frozenset[str]) -> bool:
        route, beside = self._table.route(desired.tenant), self._table.standby(desired.tenant)
        if route is None or route.activation != desired.activation:
            return True
        if self._settled.get(desired.tenant) != desired.standby:
            return True
        if not engine_names(route, beside) <= loaded:
            return True
        return self._recorded.get(desired.tenant) != desired.activation

    # what is loaded

    def _start(self, *, loaded: frozenset[str]) -> list[Desired]:
        """Start a task for each tenant that may be tried now, and for no more first versions than there are places.

        Return those whose first version finds no place: they wait until they are asked for.
        """
        due = sorted(self._due_now(), key=lambda desired: self._back_off.failures(desired.tenant))
        room = self.places.room(len(loaded)) - len(self._tasks) if due else 0
        cold = []
        for desired in due:
            if desired.tenant in self._tasks:
                continue
            if not self._needs_work(desired, loaded=loaded):
                del self._due[desired.tenant]
                continue
            is_first = desired.version != BASE_VERSION and self._need(desired) is Need.FIRST
            if is_first and room <= 0:
                cold.append(desired)
            elif not self._back_off.is_waiting(desired.tenant, desired.activation):
                room -= is_first
                self._spawn(desired)
        self._tried.update(desired.tenant for desired in cold)
        own = [tenant for tenant in self._tasks if tenant not in self._loading]
        if self._ready_build != self._build and self._tried.issuperset([*own, *self._due]):
            self._ready_build = self._build
        return cold

    def _need(self, desired: Desired) -> Need:
        if desired.tenant in self._withdrawal.tenants:
            return Need.AFTER_REVOCATION
        route = self._table.route(desired.tenant)
        if route is not None and route.engine_name is not None:
            return Need.INSTEAD
        is_asked = desired.tenant in self._loading or desired.tenant in self._residents.kept
        return Need.ASKED if is_asked else Need.FIRST

    async def _record_cold(self, cold: Sequence[Desired]) -> None:
        """Record that nothing older answers these tenants here: they are refused until the desired version is loaded.

        A tenant that the base model answered until now is one of them from here on.
        """
        for desired in cold:
            if self._table.route(desired.tenant) is not None:
                self._table.withdraw(desired.tenant)
        news = [desired for desired in cold if self._recorded.get(desired.tenant) != desired.activation]
        if news:
            observed = [self._observed(one.tenant, one.version, activation=one.activation) for one in news]
            await asyncio.to_thread(self._registry.versions.record_observed, *observed)
        for desired in cold:
            self._recorded[desired.tenant] = desired.activation
            self._due.pop(desired.tenant, None)

    # what is asked for

    async def _meet(self, tenant: str) -> None:
        """Find out what should answer the tenant; the base model does at once. Raises: NotFound, StorageFailed."""
        desired = await self._knowledge.find(tenant)
        if self._table.route(tenant) is not None:
            return
        if desired.version == BASE_VERSION and desired.standby is None:
            self._table.swap(base_route(desired))
        else:
            self._table.expect((tenant,))

    def _ask(self, tenant: str) -> None:
        """Have the tenant's version loaded when it is its turn; one whose door is closed has to leave first."""
        if not self._residents.is_closed(tenant):
            self._queue.add(tenant, is_returning=self._residents.is_returning(tenant))
        self._load_next()

    def _pushed_out(self, tenant: str) -> None:
        if self.residency.is_waited_for(tenant):
            self._ask(tenant)

    def _load_next(self) -> None:
        while len(self._loading) < LOADS_AT_ONCE and (tenant := self._queue.pop()) is not None:
            desired = self._knowledge.get(tenant)
            if desired is None or tenant in self._tasks or self._table.route(tenant) is not None:
                continue
            seconds = self._back_off.seconds_left(tenant, desired.activation)
            if seconds > 0:
                self._ask_later(tenant, seconds)
                continue
            self._loading.add(tenant)
            self._spawn(desired)
        if not self._loading:
            for opened in self._residents.open_all():  # nobody wants their places any more
                self.residency.arrived(opened)

    def _ask_later(self, tenant: str, seconds: float) -> None:
        def ask() -> None:
            if self.residency.is_waited_for(tenant):
                self._ask(tenant)

        asyncio.get_running_loop().call_later(max(seconds, _ASK_AGAIN_SECONDS), ask)

    # one tenant

    def _spawn(self, desired: Desired) -> None:
        task = asyncio.create_task(self._make_true(desired), name=f"activate {desired.tenant}")
        self._tasks[desired.tenant] = task
        task.add_done_callback(partial(self._ended, desired))

    def _ended(self, desired: Desired, task: asyncio.Task[None]) -> None:
        tenant = desired.tenant
        self._tasks.pop(tenant, None)
        self._loading.discard(tenant)
        self._tried.add(tenant)
        if task.cancelled():
            return
        if self.residency.is_waited_for(tenant):
            self._ask_later(tenant, self._back_off.seconds_left(tenant, desired.activation))
        self._load_next()

    async def _make_true(self, desired: Desired) -> None:
        """One tenant's whole step; whatever goes wrong stays here and is tried again."""
        attributes: Attributes = {Attribute.TENANT: desired.tenant, Attribute.VERSION: desired.version}
        try:
            with self._telemetry.span(Span.ACTIVATE, attributes):
                await self._activate(desired)
            self._waits(desired, None)
        except (UnknownSigner, UnfitSettings) as error:
            self._failed(desired)
            self._waits(desired, error)
        except SealserveError as error:
            self._failed(desired)
            self._log.warning(
                LogEvent.ACTIVATION_FAILED, tenant=desired.tenant, reason=error.reason, error=error.message
            )
        except Exception as error:
            self._failed(desired)
            self._log.error(
                LogEvent.ACTIVATION_CRASHED, tenant=desired.tenant, error_type=type(error).__name__, exc_info=True
            )
        else:
            self._back_off.forget(desired.tenant)

    def _failed(self, desired: Desired) -> None:
        is_urgent = desired.tenant in self._withdrawal.tenants
        self._back_off.failed(desired.tenant, desired.activation, is_urgent=is_urgent)

    def _waits(self, desired: Desired, why: Unavailable | None) -> None:
        """Raise the alarm once, or end it: the pointer stays, the route before goes on, nothing is condemned."""
        tenant, version = desired.tenant, desired.version
        if why is None:
            self._waiting.pop(tenant, None)
        elif self._waiting.get(tenant) != why.message:
            self._waiting[tenant] = why.message
            self._log.error(
                LogEvent.VERSION_NOT_LOADED, tenant=tenant, version=version, reason=why.reason, error=why.message
            )
        if why is not None:
            text = "the version that should answer cannot be loaded before an operator acts"
            self._table.explain(tenant, Unavailable(text, reason=why.reason, retry_seconds=WAITING_RETRY_SECONDS))
            self.residency.refuse(tenant)
        self._telemetry.metrics.versions_not_loaded(len(self._waiting))

    async def _activate(self, desired: Desired) -> None:
        tenant, standby = desired.tenant, desired.standby
        if self._opened.get(tenant) != desired.activation:
            standby = await asyncio.to_thread(self._open_or_find_standby, tenant)
        if standby is not None and standby.activation != desired.activation:
            self.wake()
            return
        route = await self._ready_route(desired)
        if route is None:
            return
        with self._retirement.kept(route.engine_name or ""):
            beside = await self._ready_standby(desired, standby)
            newest = self._knowledge.get(tenant)
            if newest is None or newest.activation != desired.activation:
                self.wake()  # the pointer moved meanwhile: this may be revoked by now
                return
            before = (self._table.route(tenant), self._table.standby(tenant))
            started = perf_counter()
            self._table.swap(route, standby=beside)
        flip_seconds = perf_counter() - started
        self._withdrawal.tenants.discard(tenant)
        self._settled[tenant], self._opened[tenant] = standby, desired.activation
        if engine_names(route, beside):
            self._residents.arrived(tenant)
        self._withdrawal.retire(tenant, *before)
        self.residency.arrived(tenant)
        if self._recorded.get(tenant) != route.activation:
            await self._record(route, flip_seconds=flip_seconds)

    async def _ready_route(self, desired: Desired) -> Route | None:
        """Return the route to swap in, its adapter loaded and probed; None if the version was quarantined."""
        loaded = frozenset((await self._engine.info()).loaded)
        if (route := self._withdrawal.loaded_route(desired, loaded=loaded)) is not None:
            return route
        return await self._loader.load(
            desired.tenant, desired.version, activation=desired.activation, need=self._need(desired)
        )

    async def _ready_standby(self, desired: Desired, standby: Standby | None) -> StandbyRoute | None:
        """Return the second version loaded and probed; None if there is none, or it may not be loaded.

        One that is only there for comparison holds up no swap: whatever ails it, the active version goes on alone.
        """
        if standby is None:
            return None
        if standby.version == BASE_VERSION:
            return StandbyRoute(route=base_route(desired), share=standby.share)
        need = Need.BESIDE
        if standby.share > 0:
            need = Need.ASKED if desired.tenant in self._loading else Need.FIRST
        try:
            route = await self._loader.load(desired.tenant, standby.version, activation=desired.activation, need=need)
        except SealserveError:
            if standby.share > 0:
                raise
            return None
        return StandbyRoute(route=route, share=standby.share) if route is not None else None

    def _observed(self, tenant: str, version: int, *, activation: int) -> Observed:
        return Observed(
            replica=self._replica, tenant=tenant, version=version, activation=activation, observed_at=datetime.now(UTC)
        )

    async def _record(self, route: Route, *, flip_seconds: float) -> None:
        observed = self._observed(route.tenant, route.version, activation=route.activation)
        await asyncio.to_thread(self._registry.versions.record_observed, observed)
        self._recorded[route.tenant] = route.activation
        newest = (await asyncio.to_thread(self._registry.versions.activations, route.tenant, page_size=1)).items
        if newest and newest[0].activation == route.activation:
            seconds = (observed.observed_at - newest[0].created_at).total_seconds()
            self.swaps.append(Swap(route=route, flip_seconds=flip_seconds, observed_seconds=seconds))
            self._telemetry.metrics.swapped(
                tenant=route.tenant, kind=newest[0].kind, flip_seconds=flip_seconds, observed_seconds=seconds
            )

    async def _stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
