"""Records in the registry which version answers each tenant here, and measures how long the swap took."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sealserve.records.rollouts import Desired
from sealserve.records.versions import Observed
from sealserve.registry.registry import Registry
from sealserve.serving.adapter_table import Route
from sealserve.telemetry import Telemetry

_SWAPS_KEPT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """A tenant's route was replaced. `observed_seconds` is the time since the activation was recorded."""

    route: Route
    flip_seconds: float
    observed_seconds: float


class Observations:
    """What this replica has recorded as observed, tenant by tenant. Use it from one event loop."""

    def __init__(self, registry: Registry, *, replica: str, telemetry: Telemetry) -> None:
        self._registry = registry
        self._replica = replica
        self._telemetry = telemetry
        self._recorded: dict[str, int] = {}  # tenant -> activation
        self.swaps: deque[Swap] = deque(maxlen=_SWAPS_KEPT)

    def is_recorded(self, tenant: str, activation: int) -> bool:
        """Return whether this activation is what was recorded last for the tenant."""
        return self._recorded.get(tenant) == activation

    def forget(self) -> tuple[str, ...]:
        """Forget what was recorded; return the tenants it was recorded for."""
        tenants = tuple(self._recorded)
        self._recorded.clear()
        return tenants

    async def record(self, route: Route, *, flip_seconds: float) -> None:
        """Record the route, which answers now. A swap to the newest activation is measured. Raises: StorageFailed."""
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

    async def record_desired(self, tenants: Sequence[Desired]) -> None:
        """Record the desired versions of tenants that nothing older answers here. Raises: StorageFailed."""
        news = [one for one in tenants if not self.is_recorded(one.tenant, one.activation)]
        if news:
            observed = [self._observed(one.tenant, one.version, activation=one.activation) for one in news]
            await asyncio.to_thread(self._registry.versions.record_observed, *observed)
        self._recorded.update({one.tenant: one.activation for one in news})

    def _observed(self, tenant: str, version: int, *, activation: int) -> Observed:
        return Observed(
            replica=self._replica, tenant=tenant, version=version, activation=activation, observed_at=datetime.now(UTC)
        )
