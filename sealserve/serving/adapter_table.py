"""Which version answers each tenant: one immutable snapshot, replaced whole, with a count of who is using what.

A tenant may have a second version beside the active one, which gets a share of new requests. Whose request goes
where is decided by a key that the caller sends: the same key gets the same version for as long as the shares hold,
and a version that gets a larger share keeps the keys it had.

Use it from one event loop. It says what is true after the activator has
made it so.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

from sealserve.errors import Unavailable
from sealserve.records.versions import BASE_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What answers one tenant. `engine_name` is None for the base model; `origin` is its cycle's traceparent."""

    tenant: str
    version: int
    activation: int
    engine_name: str | None
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standby:
    """The second route of a tenant, and its share of new requests; 0: it only stands by."""

    route: Route
    share: float


class AdapterTable:
    """The routes of all tenants. A tenant without one is answered by the base model, unless one is expected.

    Until `expect` is called for the first time nobody is let in: nothing is known yet of who has a version.
    """

    def __init__(self) -> None:
        self._routes: Mapping[str, tuple[Route, Standby | None]] = MappingProxyType({})
        self._expected: frozenset[str] | None = None
        self._pins: Counter[str] = Counter()
        self._reasons: dict[str, Unavailable] = {}  # why an expected version does not come, where it is known

    def route(self, tenant: str) -> Route | None:
        """Return the tenant's active route, None if it never had one."""
        return self._routes.get(tenant, _NOBODY)[0]

    def standby(self, tenant: str) -> Standby | None:
        """Return the tenant's second version, if it has one."""
        return self._routes.get(tenant, _NOBODY)[1]

    def routed_names(self) -> frozenset[str]:
        """Return the engine names that new requests may be given, now or after a rollback."""
        pairs = [(active, beside.route if beside else None) for active, beside in self._routes.values()]
        return frozenset(route.engine_name for pair in pairs for route in pair if route and route.engine_name)

    def expect(self, tenants: Iterable[str]) -> None:
        """Refuse these tenants until their first route is there: the base model must not stand in for a version."""
        self._expected = (self._expected or frozenset()) | (frozenset(tenants) - self._routes.keys())

    def explain(self, tenant: str, why: Unavailable) -> None:
        """Tell whoever asks for the tenant's version before it is loaded why it is not."""
        self._reasons[tenant] = why

    def swap(self, route: Route, *, standby: Standby | None = None) -> None:
        """Give `route` to its tenant: requests that enter after this call get it, those inside keep theirs."""
        self._reasons.pop(route.tenant, None)
        if self._expected:
            self._expected -= {route.tenant}
        self._routes = MappingProxyType({**self._routes, route.tenant: (route, standby)})

    def drop_idle_standby(self) -> Route | None:
        """Take away a second version that gets no requests, to make room; return its route, None if there is none."""
        for active, standby in self._routes.values():
            if standby is not None and standby.share == 0 and standby.route.engine_name:
                self.swap(active)
                return standby.route
        return None

    @contextmanager
    def pin(self, tenant: str, *, key: str = "") -> Iterator[Route]:
        """Give one of the tenant's routes, by `key`, for one request and count its adapter as in use meanwhile.

        Raises: Unavailable (the tenant has a version, and it is not loaded yet).
        """
        if self._expected is None or tenant in self._expected:
            if why := self._reasons.get(tenant):
                raise Unavailable(why.message, reason=why.reason, retry_seconds=why.retry_seconds)
            raise Unavailable("the version that should answer is being loaded", reason="ADAPTER_LOADING")
        base = Route(tenant=tenant, version=BASE_VERSION, activation=0, engine_name=None)
        active, standby = self._routes.get(tenant, (base, None))
        with self.held(_chosen(active, standby, key=key)) as route:
            yield route

    @contextmanager
    def held(self, route: Route) -> Iterator[Route]:
        """Count this route's adapter as in use while the body runs."""
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


_NOBODY: tuple[None, None] = (None, None)


def _chosen(active: Route, standby: Standby | None, *, key: str) -> Route:
    """The active route has the keys from the low end of the hash's range, so that more share takes none away."""
    if standby is None or standby.share == 0:
        return active
    digest = hashlib.sha256(f"{active.tenant}/{active.version}/{standby.route.version}/{key}".encode()).digest()
    place = int.from_bytes(digest[:8]) / 2**64
    return active if place < 1 - standby.share else standby.route
