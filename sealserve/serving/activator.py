"""Make what answers (observed) equal what should answer (desired), tenant by tenant, and record it.

For each tenant whose activation differs: check the artifact, load, probe, swap the table, record. A version that
cannot be served is quarantined, which moves the tenant's pointer back, and the old one goes on answering meanwhile.
One tenant's trouble is its own task and never holds up another.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from time import perf_counter

import structlog

from sealserve.concurrency import in_thread
from sealserve.engine.engine import AdapterFiles, Engine, GenerateRequest
from sealserve.errors import (
    BadAdapter,
    CorruptArtifact,
    EngineFailed,
    NotFound,
    SealserveError,
    Unavailable,
    UnfitSettings,
    UnknownSigner,
)
from sealserve.records.inference import ChatTurn, EngineState, Sampling
from sealserve.records.rollouts import Standby
from sealserve.records.tenants import Tenant
from sealserve.records.versions import BASE_VERSION, Activation, AdapterVersion, Observed, VersionState
from sealserve.registry.registry import Registry
from sealserve.serving.adapter_table import AdapterTable, Route
from sealserve.serving.adapter_table import Standby as StandbyRoute
from sealserve.serving.retirement import Retirement
from sealserve.telemetry import Telemetry
from sealserve.telemetry.names import Attribute, LogEvent, Span
from sealserve.telemetry.traces import Attributes

ACTOR = "serve"
MAX_FAILED_PROBES = 3
"""An adapter under which the engine fails this often is quarantined; fewer may be the engine's own trouble."""

NOT_FOR_THESE_SETTINGS = frozenset({"wrong_base", "rank_too_large"})
"""Defects that another setting cures. They say nothing against the version, which is not quarantined for them."""

WAITING_RETRY_SECONDS = 30.0
"""What a caller is told to wait for an operator."""

_SWAPS_KEPT = 4096
PROBE = (ChatTurn(role="user", content="Hello."),)


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
        self._require_seal = require_seal
        self._open_or_find_standby = open_or_find_standby or registry.rollouts.standby
        self._engine = engine
        self._table = table
        self._replica = replica
        self._poll_seconds = poll_seconds
        self._telemetry = telemetry or Telemetry.off()
        self._retirement = Retirement(engine, table, window_seconds=rollback_window_seconds)
        self._wake = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._recorded: dict[str, int] = {}  # tenant -> activation this replica has recorded as observed
        self._versions: dict[str, tuple[str, int]] = {}  # engine name -> what it is
        self._settled: dict[str, Standby | None] = {}  # tenant -> what the registry said of its second version
        self._has_looked = False
        self._log = structlog.get_logger("sealserve.activator")
        self._failed_probes: Counter[str] = Counter()
        self._waiting: dict[str, str] = {}  # tenant -> why its version waits for an operator
        self.swaps: deque[Swap] = deque(maxlen=_SWAPS_KEPT)

    def wake(self) -> None:
        """Look again at once: something was promoted, rolled back or rebuilt."""
        self._wake.set()

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
        self._wake.set()
        while self._wake.is_set():
            self._wake.clear()
            await self._begin()
            while self._tasks:
                await asyncio.wait(self._tasks.values())

    async def quarantine(self, engine_names: Iterable[str], *, reason: str) -> None:
        """Quarantine the versions behind these names; names this replica never routed to are passed over."""
        for name in engine_names:
            if name in self._versions:
                tenant, version = self._versions[name]
                await self._quarantine(tenant, version, reason)

    async def suspend(self, engine_names: Iterable[str], *, reason: str) -> None:
        """Take the versions behind these names out of service: the ones before them answer."""
        await self._move_suspended(self._registry.versions.suspend, engine_names, reason=reason)

    async def resume(self, engine_names: Iterable[str], *, reason: str) -> None:
        """Put those of these suspended versions back into service that nobody has replaced meanwhile."""
        await self._move_suspended(self._registry.versions.resume, engine_names, reason=reason)

    async def _move_suspended(
        self, move: Callable[..., Activation | None], engine_names: Iterable[str], *, reason: str
    ) -> None:
        for name in engine_names:
            if name not in self._versions:
                continue
            tenant, version = self._versions[name]
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
        """Start a task for each tenant that needs one, and retire what nobody needs any more."""
        desired = await asyncio.to_thread(self._registry.tenants.activated)
        standbys = await asyncio.to_thread(self._registry.rollouts.standbys)
        if not self._has_looked:
            self._table.expect(tenant.tenant for tenant in desired if tenant.desired_version != BASE_VERSION)
            self._has_looked = True
        info = await self._engine.info()
        if info.state is not EngineState.SERVING:
            return
        for tenant in desired:
            if tenant.tenant in self._tasks:
                continue
            standby = standbys.get(tenant.tenant)
            if self._needs_work(tenant, standby, loaded=frozenset(info.loaded)):
                task = asyncio.create_task(self._make_true(tenant), name=f"activate {tenant.tenant}")
                self._tasks[tenant.tenant] = task
                task.add_done_callback(partial(self._forget, tenant.tenant))
        await self._retirement.sweep()
        self._telemetry.metrics.adapters_loaded(len(info.loaded))

    def _forget(self, tenant: str, _: asyncio.Task[None]) -> None:
        self._tasks.pop(tenant, None)

    def _needs_work(self, tenant: Tenant, standby: Standby | None, *, loaded: frozenset[str]) -> bool:
        route, beside = self._table.route(tenant.tenant), self._table.standby(tenant.tenant)
        if route is None or route.activation != tenant.activation:
            return True
        if self._settled.get(tenant.tenant) != standby:
            return True
        routes = (route, *((beside.route,) if beside else ()))
        is_lost = any(one.engine_name is not None and one.engine_name not in loaded for one in routes)
        return is_lost or self._recorded.get(tenant.tenant) != tenant.activation

    async def _make_true(self, tenant: Tenant) -> None:
        """One tenant's whole step; whatever goes wrong stays here and is tried again at the next look."""
        attributes: Attributes = {Attribute.TENANT: tenant.tenant, Attribute.VERSION: tenant.desired_version}
        try:
            with self._telemetry.span(Span.ACTIVATE, attributes):
                await self._activate(tenant)
            self._waits(tenant, None)
        except (UnknownSigner, UnfitSettings) as error:
            self._waits(tenant, error)
        except SealserveError as error:
            self._log.warning(
                LogEvent.ACTIVATION_FAILED, tenant=tenant.tenant, reason=error.reason, error=error.message
            )
        except Exception as error:
            self._log.error(
                LogEvent.ACTIVATION_CRASHED, tenant=tenant.tenant, error_type=type(error).__name__, exc_info=True
            )

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
            started = perf_counter()
            before = (self._table.route(tenant.tenant), self._table.standby(tenant.tenant))
            self._table.swap(route, standby=beside)
        flip_seconds = perf_counter() - started
        self._settled[tenant.tenant] = standby
        for name in _names(*before) - _names(route, beside):
            self._retirement.add(tenant.tenant, name)
        await self._record(route, flip_seconds=flip_seconds)

    async def _ready_route(self, tenant: Tenant) -> Route | None:
        """Return the route to swap in, its adapter loaded and probed; None if the version was quarantined."""
        if tenant.desired_version == BASE_VERSION:
            return Route(tenant=tenant.tenant, version=BASE_VERSION, activation=tenant.activation, engine_name=None)
        beside = self._table.standby(tenant.tenant)
        if beside is not None and beside.route.version == tenant.desired_version and await self._has(beside.route):
            return replace(beside.route, activation=tenant.activation)  # probed when it came to stand by
        version = await asyncio.to_thread(self._registry.versions.get, tenant.tenant, tenant.desired_version)
        try:
            return await self._loaded_route(version, activation=tenant.activation)
        except Unavailable as error:
            idle = self._table.drop_idle_standby() if error.reason == "ADAPTERS_FULL" else None
            if idle is None or idle.engine_name is None:
                raise
            self._retirement.add(idle.tenant, idle.engine_name)
            return await self._loaded_route(version, activation=tenant.activation)

    async def _has(self, route: Route) -> bool:
        return route.engine_name in (await self._engine.info()).loaded

    async def _ready_standby(self, tenant: Tenant, standby: Standby | None) -> StandbyRoute | None:
        """Return the second version loaded and probed; None if there is none, or it may not be loaded.

        One that is only there for comparison holds up no swap: whatever ails it, the active version goes on alone.
        """
        if standby is None:
            return None
        if standby.version == BASE_VERSION:
            base = Route(tenant=tenant.tenant, version=BASE_VERSION, activation=tenant.activation, engine_name=None)
            return StandbyRoute(route=base, share=standby.share)
        version = await asyncio.to_thread(self._registry.versions.get, tenant.tenant, standby.version)
        if version.state is not VersionState.READY:
            return None
        try:
            route = await self._loaded_route(version, activation=tenant.activation)
        except SealserveError:
            if standby.share > 0:
                raise
            return None
        return StandbyRoute(route=route, share=standby.share) if route is not None else None

    async def _loaded_route(self, version: AdapterVersion, *, activation: int) -> Route | None:
        self._versions[version.engine_name] = (version.tenant, version.version)
        with self._retirement.kept(version.engine_name):
            try:
                await self._load(version)
            except BadAdapter as error:
                self._telemetry.metrics.adapter_refused(error.defect)
                if error.defect in NOT_FOR_THESE_SETTINGS:
                    raise UnfitSettings(error.message) from error
                await self._quarantine(version.tenant, version.version, f"{error.defect}: {error.message}")
                return None
            except CorruptArtifact as error:
                await self._quarantine(version.tenant, version.version, error.message)
                return None
            except EngineFailed:
                self._failed_probes[version.engine_name] += 1
                if self._failed_probes[version.engine_name] < MAX_FAILED_PROBES:
                    raise
                await self._quarantine(version.tenant, version.version, "the engine fails under it")
                return None
            return Route(
                tenant=version.tenant,
                version=version.version,
                activation=activation,
                engine_name=version.engine_name,
                origin=version.lineage.traceparent or "",
            )

    async def _load(self, version: AdapterVersion) -> None:
        await asyncio.to_thread(self._require_seal, version)
        async with in_thread(self._registry.artifacts.materialise(version.artifact)) as path:
            files = AdapterFiles(name=version.engine_name, path=path)
            with self._telemetry.span(Span.LOAD, {Attribute.ADAPTER: version.engine_name}):
                try:
                    await self._engine.load(files)
                except Unavailable as error:
                    if error.reason != "ADAPTERS_FULL" or not await self._retirement.make_room():
                        raise
                    await self._engine.load(files)
        await self._probe(version.engine_name)

    async def _probe(self, engine_name: str) -> None:
        """Return when one token came out. Raises: EngineFailed, Unavailable."""
        request = GenerateRequest(
            request_id=f"probe-{engine_name}", turns=PROBE, adapter=engine_name, sampling=Sampling(max_tokens=1)
        )
        try:
            async for _ in self._engine.generate(request):
                pass
        except NotFound as error:
            raise Unavailable("the adapter was unloaded before it could be probed") from error

    async def _quarantine(self, tenant: str, version: int, reason: str) -> None:
        self._log.warning(LogEvent.VERSION_QUARANTINED, tenant=tenant, version=version, reason=reason)
        await asyncio.to_thread(self._registry.versions.quarantine, tenant, version, actor=ACTOR, reason=reason)
        self.wake()

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


def _names(route: Route | None, standby: StandbyRoute | None) -> set[str]:
    """The engine names of both."""
    routes = (route, standby.route if standby else None)
    return {one.engine_name for one in routes if one is not None and one.engine_name}
