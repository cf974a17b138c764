"""Which version answers each tenant: one immutable snapshot, replaced whole, with a count of who is using what.

Lives on one event loop. Knows nothing of engines or the registry: it says what is true after the activator has
made it so.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

from sealserve.errors import Unavailable
from sealserve.records import BASE_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What answers one tenant. `engine_name` is None for the base model; `origin` is its cycle's traceparent."""

    tenant: str
    version: int
    activation: int
    engine_name: str | None
    origin: str = ""


class AdapterTable:
    """The routes of all tenants. A tenant without one is answered by the base model, unless one is expected.

    Until `expect` is called for the first time nobody is let in: nothing is known yet of who has a version.
    """

    def __init__(self) -> None:
        self._routes: Mapping[str, Route] = MappingProxyType({})
        self._expected: frozenset[str] | None = None
        self._pins: Counter[str] = Counter()

    def route(self, tenant: str) -> Route | None:
        """Return the tenant's route, None if it never had one."""
        return self._routes.get(tenant)

    def routed_names(self) -> frozenset[str]:
        """Return the engine names that new requests may be given."""
        return frozenset(route.engine_name for route in self._routes.values() if route.engine_name)

    def expect(self, tenants: Iterable[str]) -> None:
        """Refuse these tenants until their first route is there: the base model must not stand in for a version."""
        self._expected = (self._expected or frozenset()) | (frozenset(tenants) - self._routes.keys())

    def swap(self, route: Route) -> None:
        """Give `route` to its tenant: requests that enter after this call get it, those inside keep theirs."""
        if self._expected:
            self._expected -= {route.tenant}
        self._routes = MappingProxyType({**self._routes, route.tenant: route})

    @contextmanager
    def pin(self, tenant: str) -> Iterator[Route]:
        """Give the tenant's route for one request and count its adapter as in use meanwhile.

        Raises: Unavailable (the tenant has a version, and it is not loaded yet).
        """
        if self._expected is None or tenant in self._expected:
            raise Unavailable("the version that should answer is being loaded", reason="ADAPTER_LOADING")
        base = Route(tenant=tenant, version=BASE_VERSION, activation=0, engine_name=None)
        route = self._routes.get(tenant, base)
        if route.engine_name is None:
            yield route
            return
        self._pins[route.engine_name] += 1
        try:
            yield route
        finally:
            self._pins[route.engine_name] -= 1
            if not self._pins[route.engine_name]:
                del self._pins[route.engine_name]

    def pins(self, engine_name: str) -> int:
        """Return how many requests use the adapter now."""
        return self._pins[engine_name]
