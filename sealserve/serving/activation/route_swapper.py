"""Makes one tenant's route what it should be: its versions are found or loaded, then swapped in and recorded."""

import asyncio
from collections.abc import Callable
from time import perf_counter

from sealserve.engine.engine import Engine
from sealserve.errors import SealserveError
from sealserve.records.rollouts import Desired, Standby
from sealserve.records.versions import BASE_VERSION
from sealserve.serving.activation.observations import Observations
from sealserve.serving.activation.places import Need
from sealserve.serving.activation.tenant_states import TenantStates
from sealserve.serving.activation.version_loader import VersionLoader
from sealserve.serving.activation.withdrawal import base_route
from sealserve.serving.adapter_table import Route, engine_names
from sealserve.serving.adapter_table import Standby as StandbyRoute


class RouteSwapper:
    """Use it from one event loop, for one tenant in one task at a time."""

    def __init__(
        self,
        engine: Engine,
        states: TenantStates,
        *,
        loader: VersionLoader,
        observations: Observations,
        open_or_find_standby: Callable[[str], Standby | None],
        is_requested: Callable[[str], bool],
        look_again: Callable[[], None],
    ) -> None:
        """`is_requested` says whether a tenant's version is loaded because requests wait for it.

        `look_again` is called when the registry has moved on meanwhile.
        """
        self._engine = engine
        self._states = states
        self._loader = loader
        self._observations = observations
        self._open_or_find_standby = open_or_find_standby
        self._is_requested = is_requested
        self._look_again = look_again
        self._opened: dict[str, int] = {}  # tenant -> activation whose rollout was opened, if it is to have one
        self._settled: dict[str, Standby | None] = {}  # tenant -> what the registry said of its second version

    def is_done(self, desired: Desired, *, loaded: frozenset[str]) -> bool:
        """Return whether what should answer the tenant does, and is recorded."""
        table, tenant = self._states.table, desired.tenant
        route = table.route(tenant)
        return (
            route is not None
            and route.activation == desired.activation
            and self._settled.get(tenant) == desired.standby
            and engine_names(route, table.standby(tenant)) <= loaded
            and self._observations.is_recorded(tenant, desired.activation)
        )

    def need(self, desired: Desired) -> Need:
        """Return why the tenant's version would be loaded now."""
        if desired.tenant in self._states.withdrawal.tenants:
            return Need.AFTER_REVOCATION
        route = self._states.table.route(desired.tenant)
        if route is not None and route.engine_name is not None:
            return Need.INSTEAD
        is_asked = self._is_requested(desired.tenant) or desired.tenant in self._states.residents.kept
        return Need.ASKED if is_asked else Need.FIRST

    async def swap(self, desired: Desired) -> None:
        """Swap in the desired version and the one beside it, and record that. A quarantined one changes nothing.

        Raises: NotFound, Unavailable (also UnknownSigner and UnfitSettings), EngineFailed, StorageFailed.
        """
        tenant, standby = desired.tenant, desired.standby
        if self._opened.get(tenant) != desired.activation:
            standby = await asyncio.to_thread(self._open_or_find_standby, tenant)
        if standby is not None and standby.activation != desired.activation:
            self._look_again()
            return
        route = await self._ready_route(desired)
        if route is None:
            return
        with self._states.retirement.kept(route.engine_name or ""):
            beside = await self._ready_standby(desired, standby)
            newest = self._states.knowledge.get(tenant)
            if newest is None or newest.activation != desired.activation:
                self._look_again()  # the pointer moved meanwhile: this may be revoked by now
                return
            before = (self._states.table.route(tenant), self._states.table.standby(tenant))
            started = perf_counter()
            self._states.table.swap(route, standby=beside)
        flip_seconds = perf_counter() - started
        self._settled[tenant], self._opened[tenant] = standby, desired.activation
        self._settle(tenant, has_adapter=bool(engine_names(route, beside)), before=before)
        if not self._observations.is_recorded(tenant, route.activation):
            await self._observations.record(route, flip_seconds=flip_seconds)

    def _settle(self, tenant: str, *, has_adapter: bool, before: tuple[Route | None, StandbyRoute | None]) -> None:
        """The tenant has its route: retire what `before` led to, and let in the requests that wait."""
        self._states.withdrawal.tenants.discard(tenant)
        if has_adapter:
            self._states.residents.arrived(tenant)
        self._states.withdrawal.retire(tenant, *before)
        self._states.residency.arrived(tenant)

    async def _ready_route(self, desired: Desired) -> Route | None:
        """Return the route to swap in, its adapter loaded and probed; None if the version was quarantined."""
        loaded = frozenset((await self._engine.info()).loaded)
        if (route := self._states.withdrawal.loaded_route(desired, loaded=loaded)) is not None:
            return route
        return await self._loader.load(
            desired.tenant, desired.version, activation=desired.activation, need=self.need(desired)
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
            need = Need.ASKED if self._is_requested(desired.tenant) else Need.FIRST
        try:
            route = await self._loader.load(desired.tenant, standby.version, activation=desired.activation, need=need)
        except SealserveError:
            if standby.share > 0:
                raise
            return None
        return StandbyRoute(route=route, share=standby.share) if route is not None else None
