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
from functools import partial
from time import perf_counter

import structlog

from sealserve.engine.engine import Engine
from sealserve.errors import NotFound, SealserveError, StorageFailed, UnfitSettings, UnknownSigner
from sealserve.records.inference import EngineInfo, EngineState
from sealserve.records.rollouts import Desired, Standby
from sealserve.records.versions import BASE_VERSION, AdapterVersion
from sealserve.registry.registry import Registry
from sealserve.serving.activation.blocked_versions import BlockedVersions
from sealserve.serving.activation.observations import Observations, Swap
from sealserve.serving.activation.places import Need, Places
from sealserve.serving.activation.requested_loads import RequestedLoads
from sealserve.serving.activation.route_swapper import RouteSwapper
from sealserve.serving.activation.tenant_states import ActivatorSettings, TenantStates
from sealserve.serving.activation.version_loader import VersionLoader
from sealserve.serving.activation.withdrawal import base_route
from sealserve.serving.adapter_table import AdapterTable, engine_names
from sealserve.serving.residency import Residency
from sealserve.telemetry import Telemetry
from sealserve.telemetry.names import Attribute, LogEvent, Span
from sealserve.telemetry.traces import Attributes

_LOOKS_KEPT = 64


def _trust(version: AdapterVersion) -> None:
    return


class Activator:
    """One replica's loop from the registry to the adapter table. Use it from one event loop."""

    def __init__(
        self,
        registry: Registry,
        engine: Engine,
        table: AdapterTable,
        settings: ActivatorSettings,
        *,
        telemetry: Telemetry | None = None,
        require_seal: Callable[[AdapterVersion], None] = _trust,
        open_or_find_standby: Callable[[str], Standby | None] | None = None,
    ) -> None:
        """`require_seal` raises BadAdapter for a version that is not what was signed, UnknownSigner if nobody here can
        tell (`Seals.require`).

        `open_or_find_standby` returns, before every swap, the version beside the active one. It may write: it opens a
        rollout, which moves traffic and leads to another look.
        """
        self._engine = engine
        self._poll_seconds = settings.poll_seconds
        self._telemetry = telemetry = telemetry or Telemetry.off()
        self._states = states = TenantStates.of_new_replica(registry, engine, table, settings)
        self._requested = RequestedLoads(states, is_active=lambda tenant: tenant in self._tasks, start=self._spawn)
        states.residency.meet, states.residency.ask = self._requested.meet, self._requested.ask
        self.places = Places(
            engine, table, states.retirement, places=settings.loaded_adapters, residents=states.residents
        )
        self.places.on_pushed_out = self._requested.ask_if_waited_for
        self.places.waiting = lambda: len(self._requested)
        self._loader = VersionLoader(
            registry,
            engine,
            places=self.places,
            retirement=states.retirement,
            telemetry=telemetry,
            require_seal=require_seal,
            on_moved=self.wake,
        )
        self._observations = Observations(registry, replica=settings.replica, telemetry=telemetry)
        self._swapper = RouteSwapper(
            engine,
            states,
            loader=self._loader,
            observations=self._observations,
            open_or_find_standby=open_or_find_standby or registry.rollouts.standby,
            is_requested=self._requested.is_loading,
            look_again=self.wake,
        )
        self._blocked = BlockedVersions(states, telemetry=telemetry)
        self._log = structlog.get_logger("sealserve.activator")
        self.look_seconds: deque[float] = deque(maxlen=_LOOKS_KEPT)
        self._wake = asyncio.Event()
        self._unmet = set(settings.resident_tenants)
        self._due: dict[str, None] = {}  # tenants of which something may be left to do
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._build: int | None = None  # the engine's number of rebuilds at the last look
        self._tried: set[str] = set()  # tenants whose versions were loaded into this build, or failed to be
        self._ready_build: int | None = None  # the build that all versions that were due were tried in

    @property
    def residency(self) -> Residency:
        """The requests that wait for a version."""
        return self._states.residency

    @property
    def swaps(self) -> deque[Swap]:
        """The last swaps, newest last."""
        return self._observations.swaps

    def wake(self) -> None:
        """Look again at once: something was promoted, rolled back or rebuilt."""
        self._wake.set()

    def is_resident(self, tenant: str) -> bool:
        """Return whether an adapter of the tenant is loaded here and answers."""
        return tenant in self._states.residents

    def is_settled(self, info: EngineInfo) -> bool:
        """Return whether, since the engine was last built, every version there is room for was loaded or found
        impossible to.

        What is promoted or asked for later does not change it.
        """
        return self._ready_build is not None and self._ready_build == info.rebuilds

    def record_again(self) -> None:
        """Record anew what this replica observes: the registry has forgotten it."""
        self._due.update(dict.fromkeys(self._observations.forget()))
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
        self._states.back_off.clear()
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
        await self._loader.suspend(engine_names, reason=reason)

    async def resume(self, engine_names: Iterable[str], *, reason: str) -> None:
        """Put those of these suspended versions back into service that nobody has replaced meanwhile."""
        await self._loader.resume(engine_names, reason=reason)

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
        self._blocked.registry_was_read()
        info = await self._engine.info()
        loaded = frozenset(info.loaded)
        for tenant in await self._states.withdrawal.apply(self._due_now(), loaded=loaded):
            self._states.back_off.forget(tenant)
        if info.state is not EngineState.SERVING:
            return
        self._notice_build(info.rebuilds)
        self._notice_lost(loaded)
        cold = self._start(loaded=loaded)
        await self._record_cold(cold)
        await self._states.retirement.sweep()
        self._telemetry.metrics.adapters_loaded(len(info.loaded))

    async def _read_changes(self) -> None:
        """Read what changed. Whoever has no route yet is refused until it has the desired one.

        But a tenant whose first version was promoted while this replica ran had the base model until now, and keeps it.
        """
        is_first_look = self._states.knowledge.is_new
        for desired in await self._states.knowledge.changes():
            self._due[desired.tenant] = None
            if desired.activation == 1 and not is_first_look and not self._states.table.is_known(desired.tenant):
                self._states.table.swap(base_route(desired, activation=0))
            elif desired.version != BASE_VERSION:
                self._states.table.expect((desired.tenant,))
        for tenant in tuple(self._unmet):
            with suppress(NotFound):  # once it is made, its first change is read
                await self._states.knowledge.find(tenant)
                self._due[tenant] = None
            self._unmet.discard(tenant)
        self._states.table.expect_everybody()
        if self._states.knowledge.has_more:
            self.wake()

    def _due_now(self) -> list[Desired]:
        found = (self._states.knowledge.get(tenant) for tenant in self._due)
        return [desired for desired in found if desired is not None]

    def _notice_build(self, rebuilds: int) -> None:
        """A new engine: what failed in the one before may load in this one."""
        if rebuilds != self._build:
            self._build = rebuilds
            self._tried.clear()
            self._states.back_off.clear()
            for tenant in self._states.residency.waited_for():
                self._requested.ask(tenant)

    def _notice_lost(self, loaded: frozenset[str]) -> None:
        """What the engine lost has to be loaded again."""
        for tenant in self._states.residents:
            if not engine_names(self._states.table.route(tenant), self._states.table.standby(tenant)) <= loaded:
                self._due[tenant] = None

    # what is loaded

    def _start(self, *, loaded: frozenset[str]) -> list[Desired]:
        """Start a task for each tenant that may be tried now, and for no more first versions than there are places.

        Return those whose first version finds no place: they wait until they are asked for.
        """
        due = sorted(self._due_now(), key=lambda desired: self._states.back_off.failures(desired.tenant))
        room = self.places.room(len(loaded)) - len(self._tasks) if due else 0
        cold = []
        for desired in due:
            if desired.tenant in self._tasks:
                continue
            if self._swapper.is_done(desired, loaded=loaded):
                del self._due[desired.tenant]
                continue
            is_first = desired.version != BASE_VERSION and self._swapper.need(desired) is Need.FIRST
            if is_first and room <= 0:
                cold.append(desired)
            elif not self._states.back_off.is_waiting(desired.tenant, desired.activation):
                room -= is_first
                self._spawn(desired)
        self._tried.update(desired.tenant for desired in cold)
        own = [tenant for tenant in self._tasks if not self._requested.is_loading(tenant)]
        if self._ready_build != self._build and self._tried.issuperset([*own, *self._due]):
            self._ready_build = self._build
        return cold

    async def _record_cold(self, cold: Sequence[Desired]) -> None:
        """Record that nothing older answers these tenants here: they are refused until the desired version is loaded.

        A tenant that the base model answered until now is one of them from here on.
        """
        for desired in cold:
            if self._states.table.route(desired.tenant) is not None:
                self._states.table.withdraw(desired.tenant)
        await self._observations.record_desired(cold)
        for desired in cold:
            self._due.pop(desired.tenant, None)

    # one tenant

    def _spawn(self, desired: Desired) -> None:
        task = asyncio.create_task(self._activate(desired), name=f"activate {desired.tenant}")
        self._tasks[desired.tenant] = task
        task.add_done_callback(partial(self._ended, desired))

    def _ended(self, desired: Desired, task: asyncio.Task[None]) -> None:
        self._tasks.pop(desired.tenant, None)
        self._tried.add(desired.tenant)
        self._requested.ended(desired, is_cancelled=task.cancelled())

    async def _activate(self, desired: Desired) -> None:
        """One tenant's whole step; whatever goes wrong stays here and is tried again."""
        attributes: Attributes = {Attribute.TENANT: desired.tenant, Attribute.VERSION: desired.version}
        try:
            with self._telemetry.span(Span.ACTIVATE, attributes):
                await self._swapper.swap(desired)
            self._blocked.remove(desired.tenant)
        except (UnknownSigner, UnfitSettings) as error:
            self._failed(desired)
            self._blocked.add(desired, error)
        except SealserveError as error:
            self._failed(desired)
            self._log.warning(
                LogEvent.ACTIVATION_FAILED, tenant=desired.tenant, reason=error.reason, error=error.message
            )
            if isinstance(error, StorageFailed):
                self._blocked.wait_for_registry(desired.tenant)
        except Exception as error:
            self._failed(desired)
            self._log.error(
                LogEvent.ACTIVATION_CRASHED, tenant=desired.tenant, error_type=type(error).__name__, exc_info=True
            )
        else:
            self._states.back_off.forget(desired.tenant)

    def _failed(self, desired: Desired) -> None:
        is_urgent = desired.tenant in self._states.withdrawal.tenants
        self._states.back_off.failed(desired.tenant, desired.activation, is_urgent=is_urgent)

    async def _stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
