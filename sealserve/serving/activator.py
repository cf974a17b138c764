"""Make what answers (observed) equal what should answer (desired), tenant by tenant, and record it.

At every look, what was revoked stops answering first, whatever is loaded and however full the engine is: the tenant
gets the desired version at once if that is loaded, else it is refused (ADAPTER_LOADING) until it is. Then, for each
tenant whose activation differs: check the artifact, load, probe, swap, record. A version that cannot be served is
quarantined, which moves the tenant's pointer back. After a mere promotion the old version goes on answering meanwhile.
One tenant's trouble is its own task and never holds up another; a tenant that failed is tried again later and later.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from time import perf_counter

import structlog

from sealserve.engine.engine import Engine
from sealserve.errors import SealserveError, Unavailable, UnfitSettings, UnknownSigner
from sealserve.records.inference import EngineInfo, EngineState
from sealserve.records.rollouts import Standby
from sealserve.records.tenants import Tenant
from sealserve.records.versions import BASE_VERSION, Activation, AdapterVersion, Answering, Observed
from sealserve.registry.registry import Registry
from sealserve.serving.activation.back_off import BackOff
from sealserve.serving.activation.places import Need, Places
from sealserve.serving.activation.retirement import Retirement
from sealserve.serving.activation.version_loader import ACTOR, VersionLoader
from sealserve.serving.adapter_table import AdapterTable, Route, engine_names
from sealserve.serving.adapter_table import Standby as StandbyRoute
from sealserve.telemetry import Telemetry
from sealserve.telemetry.names import Attribute, LogEvent, Span
from sealserve.telemetry.traces import Attributes

WAITING_RETRY_SECONDS = 30.0
"""What a caller is told to wait for an operator."""

_SWAPS_KEPT = 4096
_FULL_WARNING_SECONDS = 30.0


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
        self._retirement = Retirement(engine, table, window_seconds=rollback_window_seconds)
        self.places = Places(engine, table, self._retirement, places=loaded_adapters)
        self._loader = VersionLoader(
            registry,
            engine,
            places=self.places,
            retirement=self._retirement,
            telemetry=self._telemetry,
            require_seal=require_seal,
            on_quarantined=self.wake,
        )
        self._wake = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._back_off = BackOff()
        self._wanted: dict[str, int] = {}  # tenant -> its activation at the last look
        self._withdrawn: set[str] = set()  # tenants that get no answers until their version is loaded
        self._recorded: dict[str, int] = {}  # tenant -> activation this replica has recorded as observed
        self._settled: dict[str, Standby | None] = {}  # tenant -> what the registry said of its second version
        self._build: int | None = None  # the engine's number of rebuilds at the last look
        self._tried: set[str] = set()  # tenants whose versions were loaded into this build, or failed to be
        self._ready_build: int | None = None  # the build that all tenants' versions were tried in
        self._has_looked = False
        self._warned_full_seconds = float("-inf")
        self._log = structlog.get_logger("sealserve.activator")
        self._waiting: dict[str, str] = {}  # tenant -> why its version waits for an operator
        self.swaps: deque[Swap] = deque(maxlen=_SWAPS_KEPT)

    def wake(self) -> None:
        """Look again at once: something was promoted, rolled back or rebuilt."""
        self._wake.set()

    def is_settled(self, info: EngineInfo) -> bool:
        """Return whether, since the engine was last built, every tenant's version was loaded or found impossible to.

        What is promoted later does not change it.
        """
        return self._ready_build is not None and self._ready_build == info.rebuilds

    def record_again(self) -> None:
        """Record anew what this replica observes: the registry has forgotten it."""
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

    async def _look(self) -> None:
        try:
            await self._begin()
        except SealserveError as error:
            self._log.warning(LogEvent.REGISTRY_NOT_READ, reason=error.reason)

    async def _begin(self) -> None:
        """Withdraw what was revoked, start a task for each tenant that needs one, and retire what nobody needs."""
        desired, standbys = await asyncio.to_thread(self._read)
        self._wanted = {tenant.tenant: tenant.activation for tenant in desired}
        if not self._has_looked:
            self._table.expect(tenant.tenant for tenant in desired if tenant.desired_version != BASE_VERSION)
            self._has_looked = True
        info = await self._engine.info()
        loaded = frozenset(info.loaded)
        await self._withdraw_revoked(desired, standbys, loaded=loaded)
        if info.state is not EngineState.SERVING:
            return
        self._notice_build(info.rebuilds)
        work = [
            tenant
            for tenant in desired
            if tenant.tenant not in self._tasks and self._needs_work(tenant, standbys.get(tenant.tenant), loaded=loaded)
        ]
        self._start(work, n_loaded=len(loaded))
        await self._retirement.sweep()
        self._telemetry.metrics.adapters_loaded(len(info.loaded))

    def _read(self) -> tuple[tuple[Tenant, ...], dict[str, Standby]]:
        return self._registry.tenants.activated(), self._registry.rollouts.standbys()

    def _notice_build(self, rebuilds: int) -> None:
        """A new engine: what failed in the one before may load in this one."""
        if rebuilds != self._build:
            self._build = rebuilds
            self._tried.clear()
            self._back_off.clear()

    def _needs_work(self, tenant: Tenant, standby: Standby | None, *, loaded: frozenset[str]) -> bool:
        route, beside = self._table.route(tenant.tenant), self._table.standby(tenant.tenant)
        if route is None or route.activation != tenant.activation:
            return True
        if self._settled.get(tenant.tenant) != standby:
            return True
        if not engine_names(route, beside) <= loaded:
            return True
        return self._recorded.get(tenant.tenant) != tenant.activation

    # what was revoked

    async def _withdraw_revoked(
        self, desired: Sequence[Tenant], standbys: dict[str, Standby], *, loaded: frozenset[str]
    ) -> None:
        """Take revoked versions off the table. Only tenants that do not answer with what is desired are asked about."""
        asked = (self._answering(tenant, standbys.get(tenant.tenant)) for tenant in desired)
        answering = [one for one in asked if one is not None]
        if not answering:
            return
        revoked = await asyncio.to_thread(self._registry.versions.revoked, answering)
        for tenant in desired:
            if tenant.tenant in revoked:
                self._withdraw(tenant, revoked[tenant.tenant], loaded=loaded)

    def _answering(self, tenant: Tenant, standby: Standby | None) -> Answering | None:
        """Return the versions that answer and are neither desired nor beside what is; None if there are none."""
        active, beside = self._table.route(tenant.tenant), self._table.standby(tenant.tenant)
        if active is None or (beside is None and active.version == tenant.desired_version):
            return None
        versions = {active.version, beside.route.version if beside else BASE_VERSION}
        versions -= {BASE_VERSION, tenant.desired_version}
        if standby is not None and active.version == tenant.desired_version:
            versions.discard(standby.version)
        if not versions:
            return None
        return Answering(tenant=tenant.tenant, activation=active.activation, versions=frozenset(versions))

    def _withdraw(self, tenant: Tenant, versions: frozenset[int], *, loaded: frozenset[str]) -> None:
        active, beside = self._table.route(tenant.tenant), self._table.standby(tenant.tenant)
        if active is None:
            return
        if active.version in versions:
            route = self._loaded_route(tenant, loaded=loaded)
            if route is not None:
                self._table.swap(route)
            else:
                self._table.withdraw(tenant.tenant)
                self._withdrawn.add(tenant.tenant)
        elif beside is not None and beside.route.version in versions:
            self._table.drop_standby(tenant.tenant)
        self._back_off.forget(tenant.tenant)
        self._retire(tenant.tenant, active, beside, revoked=versions)
        is_answered = self._table.route(tenant.tenant) is not None
        self._log.info(
            LogEvent.VERSION_REVOKED, tenant=tenant.tenant, versions=sorted(versions), is_answered=is_answered
        )

    def _loaded_route(self, tenant: Tenant, *, loaded: frozenset[str]) -> Route | None:
        """Return a route to the desired version that needs no load: it was probed when it was routed to, or stood by.

        None if there is none.
        """
        if tenant.desired_version == BASE_VERSION:
            return Route(tenant=tenant.tenant, version=BASE_VERSION, activation=tenant.activation, engine_name=None)
        active, beside = self._table.route(tenant.tenant), self._table.standby(tenant.tenant)
        retired = self._retirement.find(tenant.tenant, tenant.desired_version)
        for route in (active, beside.route if beside else None, retired):
            if route is not None and route.version == tenant.desired_version and route.engine_name in loaded:
                return replace(route, activation=tenant.activation)
        return None

    def _retire(
        self, tenant: str, active: Route | None, beside: StandbyRoute | None, *, revoked: frozenset[int] = frozenset()
    ) -> None:
        """Retire what these routes led to and the tenant's present ones do not."""
        present = engine_names(self._table.route(tenant), self._table.standby(tenant))
        for route in (active, beside.route if beside else None):
            if route is not None and route.engine_name not in present:
                self._retirement.add(route, is_revoked=route.version in revoked)

    # what is loaded

    def _start(self, work: list[Tenant], *, n_loaded: int) -> None:
        """Start a task for each tenant that may be tried now, and for no more first versions than there are places."""
        room = self.places.room(n_loaded) - len(self._tasks) if work else 0
        waiting = []
        for tenant in sorted(work, key=lambda tenant: self._back_off.failures(tenant.tenant)):
            is_first = tenant.desired_version != BASE_VERSION and self._need(tenant) is Need.FIRST
            if is_first and room <= 0:
                waiting.append(tenant.tenant)
                continue
            if self._back_off.is_waiting(tenant.tenant, tenant.activation):
                continue
            room -= is_first
            task = asyncio.create_task(self._make_true(tenant), name=f"activate {tenant.tenant}")
            self._tasks[tenant.tenant] = task
            task.add_done_callback(partial(self._ended, tenant.tenant))
        if not self._tasks:
            self._tried.update(waiting)
        self._warn_full(waiting)
        if self._ready_build != self._build and self._tried.issuperset([*self._tasks, *(one.tenant for one in work)]):
            self._ready_build = self._build

    def _warn_full(self, waiting: Sequence[str]) -> None:
        now = asyncio.get_running_loop().time()
        if waiting and now - self._warned_full_seconds >= _FULL_WARNING_SECONDS:
            self._warned_full_seconds = now
            self._log.warning(LogEvent.PLACES_EXHAUSTED, waiting=len(waiting), first=waiting[0])

    def _ended(self, tenant: str, _: asyncio.Task[None]) -> None:
        self._tasks.pop(tenant, None)
        self._tried.add(tenant)

    def _need(self, tenant: Tenant) -> Need:
        if tenant.tenant in self._withdrawn:
            return Need.AFTER_REVOCATION
        route = self._table.route(tenant.tenant)
        return Need.FIRST if route is None or route.engine_name is None else Need.INSTEAD

    async def _make_true(self, tenant: Tenant) -> None:
        """One tenant's whole step; whatever goes wrong stays here and is tried again."""
        attributes: Attributes = {Attribute.TENANT: tenant.tenant, Attribute.VERSION: tenant.desired_version}
        try:
            with self._telemetry.span(Span.ACTIVATE, attributes):
                await self._activate(tenant)
            self._waits(tenant, None)
        except (UnknownSigner, UnfitSettings) as error:
            self._failed(tenant)
            self._waits(tenant, error)
        except SealserveError as error:
            self._failed(tenant)
            self._log.warning(
                LogEvent.ACTIVATION_FAILED, tenant=tenant.tenant, reason=error.reason, error=error.message
            )
        except Exception as error:
            self._failed(tenant)
            self._log.error(
                LogEvent.ACTIVATION_CRASHED, tenant=tenant.tenant, error_type=type(error).__name__, exc_info=True
            )
        else:
            self._back_off.forget(tenant.tenant)

    def _failed(self, tenant: Tenant) -> None:
        self._back_off.failed(tenant.tenant, tenant.activation, is_urgent=tenant.tenant in self._withdrawn)

    def _waits(self, tenant: Tenant, why: Unavailable | None) -> None:
        """Raise the alarm once, or end it: the pointer stays, the route before goes on, nothing is condemned."""
        if why is None:
            self._waiting.pop(tenant.tenant, None)
        elif self._waiting.get(tenant.tenant) != why.message:
            self._waiting[tenant.tenant] = why.message
            version = tenant.desired_version
            self._log.error(
                LogEvent.VERSION_NOT_LOADED, tenant=tenant.tenant, version=version, reason=why.reason, error=why.message
            )
        if why is not None:
            text = "the version that should answer cannot be loaded before an operator acts"
            self._table.explain(
                tenant.tenant, Unavailable(text, reason=why.reason, retry_seconds=WAITING_RETRY_SECONDS)
            )
        self._telemetry.metrics.versions_not_loaded(len(self._waiting))

    async def _activate(self, tenant: Tenant) -> None:
        standby = await asyncio.to_thread(self._open_or_find_standby, tenant.tenant)
        if standby is not None and standby.activation != tenant.activation:
            self.wake()
            return
        route = await self._ready_route(tenant)
        if route is None:
            return
        with self._retirement.kept(route.engine_name or ""):
            beside = await self._ready_standby(tenant, standby)
            if self._wanted.get(tenant.tenant) != tenant.activation:
                self.wake()  # the pointer moved meanwhile: this may be revoked by now
                return
            before = (self._table.route(tenant.tenant), self._table.standby(tenant.tenant))
            started = perf_counter()
            self._table.swap(route, standby=beside)
        flip_seconds = perf_counter() - started
        self._withdrawn.discard(tenant.tenant)
        self._settled[tenant.tenant] = standby
        self._retire(tenant.tenant, *before)
        await self._record(route, flip_seconds=flip_seconds)

    async def _ready_route(self, tenant: Tenant) -> Route | None:
        """Return the route to swap in, its adapter loaded and probed; None if the version was quarantined."""
        loaded = frozenset((await self._engine.info()).loaded)
        if (route := self._loaded_route(tenant, loaded=loaded)) is not None:
            return route
        return await self._loader.load(
            tenant.tenant, tenant.desired_version, activation=tenant.activation, need=self._need(tenant)
        )

    async def _ready_standby(self, tenant: Tenant, standby: Standby | None) -> StandbyRoute | None:
        """Return the second version loaded and probed; None if there is none, or it may not be loaded.

        One that is only there for comparison holds up no swap: whatever ails it, the active version goes on alone.
        """
        if standby is None:
            return None
        if standby.version == BASE_VERSION:
            base = Route(tenant=tenant.tenant, version=BASE_VERSION, activation=tenant.activation, engine_name=None)
            return StandbyRoute(route=base, share=standby.share)
        need = Need.FIRST if standby.share > 0 else Need.BESIDE
        try:
            route = await self._loader.load(tenant.tenant, standby.version, activation=tenant.activation, need=need)
        except SealserveError:
            if standby.share > 0:
                raise
            return None
        return StandbyRoute(route=route, share=standby.share) if route is not None else None

    async def _record(self, route: Route, *, flip_seconds: float) -> None:
        now = datetime.now(UTC)
        observed = Observed(
            replica=self._replica,
            tenant=route.tenant,
            version=route.version,
            activation=route.activation,
            observed_at=now,
        )
        await asyncio.to_thread(self._registry.versions.record_observed, observed)
        is_news = self._recorded.get(route.tenant) != route.activation
        self._recorded[route.tenant] = route.activation
        if not is_news:
            return
        newest = (await asyncio.to_thread(self._registry.versions.activations, route.tenant, page_size=1)).items
        if newest and newest[0].activation == route.activation:
            seconds = (now - newest[0].created_at).total_seconds()
            self.swaps.append(Swap(route=route, flip_seconds=flip_seconds, observed_seconds=seconds))
            self._telemetry.metrics.swapped(
                tenant=route.tenant, kind=newest[0].kind, flip_seconds=flip_seconds, observed_seconds=seconds
            )

    async def _stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
