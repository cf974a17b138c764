"""Takes revoked versions off the adapter table, whatever is loaded and however full the engine is."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog

from sealserve.records.rollouts import Desired
from sealserve.records.versions import BASE_VERSION, Answering
from sealserve.registry.registry import Registry
from sealserve.serving.activation.residents import Residents
from sealserve.serving.activation.retirement import Retirement
from sealserve.serving.adapter_table import AdapterTable, Route, Standby, engine_names
from sealserve.telemetry.names import LogEvent


class Withdrawal:
    """Use it from one event loop."""

    def __init__(
        self, registry: Registry, table: AdapterTable, *, residents: Residents, retirement: Retirement
    ) -> None:
        self._registry = registry
        self._table = table
        self._residents = residents
        self._retirement = retirement
        self.tenants: set[str] = set()  # those that get no answers until their version is loaded
        self._log = structlog.get_logger("sealserve.activator")

    async def apply(self, changed: Sequence[Desired], *, loaded: frozenset[str]) -> tuple[str, ...]:
        """Take revoked versions off the table and return their tenants. Raises: StorageFailed.

        Only tenants that are not answered by their desired version are looked up.
        """
        asked = (self._answering(desired) for desired in changed)
        answering = [one for one in asked if one is not None]
        if not answering:
            return ()
        revoked = await asyncio.to_thread(self._registry.versions.revoked, answering)
        for desired in changed:
            if desired.tenant in revoked:
                self._withdraw(desired, revoked[desired.tenant], loaded=loaded)
        return tuple(revoked)

    def loaded_route(self, desired: Desired, *, loaded: frozenset[str]) -> Route | None:
        """Return a route to the desired version that needs no load: it was probed when it was routed to, or stood by.

        None if there is none.
        """
        if desired.version == BASE_VERSION:
            return base_route(desired)
        active, beside = self._table.route(desired.tenant), self._table.standby(desired.tenant)
        retired = self._retirement.find(desired.tenant, desired.version)
        for route in (active, beside.route if beside else None, retired):
            if route is not None and route.version == desired.version and route.engine_name in loaded:
                return replace(route, activation=desired.activation)
        return None

    def retire(
        self, tenant: str, active: Route | None, beside: Standby | None, *, revoked: frozenset[int] = frozenset()
    ) -> None:
        """Retire what these routes led to and the tenant's present ones do not."""
        present = engine_names(self._table.route(tenant), self._table.standby(tenant))
        for route in (active, beside.route if beside else None):
            if route is not None and route.engine_name not in present:
                self._retirement.add(route, is_revoked=route.version in revoked)
        if not present:
            self._residents.left(tenant)

    def _answering(self, desired: Desired) -> Answering | None:
        """Return the versions that answer and are neither desired nor beside what is; None if there are none.

        Those that only earlier requests use are among them.
        """
        active, beside = self._table.route(desired.tenant), self._table.standby(desired.tenant)
        retired = {route.version for route in self._in_use(desired.tenant)}
        if active is None or (beside is None and active.version == desired.version and not retired):
            return None
        versions = {active.version, beside.route.version if beside else BASE_VERSION, *retired}
        versions -= {BASE_VERSION, desired.version}
        if desired.standby is not None and active.version == desired.version:
            versions.discard(desired.standby.version)
        if not versions:
            return None
        return Answering(tenant=desired.tenant, activation=active.activation, versions=frozenset(versions))

    def _in_use(self, tenant: str) -> list[Route]:
        """Return the tenant's retired routes that requests use and that are not known to be revoked."""
        used = self._retirement.in_use(tenant)
        return [route for route in used if route.engine_name and not self._table.is_revoked(route.engine_name)]

    def _withdraw(self, desired: Desired, versions: frozenset[int], *, loaded: frozenset[str]) -> None:
        tenant = desired.tenant
        active, beside = self._table.route(tenant), self._table.standby(tenant)
        if active is None:
            return
        pinned = (active, beside.route if beside else None, *self._in_use(tenant))
        if active.version in versions:
            route = self.loaded_route(desired, loaded=loaded)
            if route is not None:
                self._table.swap(route)
            else:
                self._table.withdraw(tenant)
                self.tenants.add(tenant)
        elif beside is not None and beside.route.version in versions:
            self._table.drop_standby(tenant)
        for route in pinned:
            if route is not None and route.engine_name and route.version in versions:
                self._table.revoke(route.engine_name)
        self.retire(tenant, active, beside, revoked=versions)
        is_answered = self._table.route(tenant) is not None
        self._log.info(LogEvent.VERSION_REVOKED, tenant=tenant, versions=sorted(versions), is_answered=is_answered)


def base_route(desired: Desired, *, activation: int | None = None) -> Route:
    """Return the route to the base model, since the desired version's activation unless another is given."""
    since = desired.activation if activation is None else activation
    return Route(tenant=desired.tenant, version=BASE_VERSION, activation=since, engine_name=None)
