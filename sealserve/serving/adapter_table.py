"""Holds the version that answers each tenant, as one immutable entry that is replaced whole, and counts the requests
that use each adapter.

A tenant may have a second version beside the active one, which gets a share of new requests. Whose request goes where
is decided by a key that the caller sends: the same key gets the same version for as long as the shares hold, and a
version that gets a larger share keeps the keys it had.

Use it from one event loop. It says what is true after the activator has made it so.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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
    """The routes of the tenants that are known here. A tenant for whom one is expected is refused until it has one.

    Until `expect` is called for the first time nobody is let in. After `expect_everybody` nobody is let in without a
    route; otherwise a tenant without one that is not expected is answered by the base model.
    """

    def __init__(self) -> None:
        self._routes: dict[str, tuple[Route, Standby | None]] = {}
        self._beside: dict[str, Standby] = {}  # those of them that have a second route
        self._is_everybody_expected = False
        self.on_unpinned: Callable[[str], None] = lambda engine_name: None  # called when nobody uses it any more
        self._expected: set[str] | None = None
        self._routed: Counter[str] = Counter()
        self._pins: Counter[str] = Counter()
        self._revoked: set[str] = set()  # of the adapters in use
        self._reasons: dict[str, Unavailable] = {}  # why an expected version does not come, where it is known

    def route(self, tenant: str) -> Route | None:
        """Return the tenant's active route, None if it never had one or it was withdrawn."""
        return self._routes.get(tenant, _NOBODY)[0]

    def standby(self, tenant: str) -> Standby | None:
        """Return the tenant's second version, if it has one."""
        return self._routes.get(tenant, _NOBODY)[1]

    def is_routed(self, engine_name: str) -> bool:
        """Return whether new requests may be given this adapter, now or after a rollback."""
        return self._routed[engine_name] > 0

    def expect(self, tenants: Iterable[str]) -> None:
        """Refuse these tenants until their first route is there: the base model must not stand in for a version."""
        if self._expected is None:
            self._expected = set()
        self._expected.update(tenant for tenant in tenants if tenant not in self._routes)

    def expect_everybody(self) -> None:
        """Refuse every tenant that has no route: of none is it known whether it has a version."""
        self.expect(())
        self._is_everybody_expected = True

    def is_known(self, tenant: str) -> bool:
        """Return whether the tenant has a route, or one is known to be due."""
        return tenant in self._routes or (self._expected is not None and tenant in self._expected)

    def reason(self, tenant: str) -> Unavailable | None:
        """Return why the tenant's version cannot be loaded before an operator acts; None if that is not so."""
        why = self._reasons.get(tenant)
        return why and Unavailable(why.message, reason=why.reason, retry_seconds=why.retry_seconds)

    def explain(self, tenant: str, why: Unavailable | None) -> None:
        """Tell whoever asks for the tenant's version before it is loaded why it is not; None: it is being loaded."""
        if why is None:
            self._reasons.pop(tenant, None)
        else:
            self._reasons[tenant] = why

    def swap(self, route: Route, *, standby: Standby | None = None) -> None:
        """Give `route` to its tenant: requests that enter after this call get it, those inside keep theirs."""
        self._reasons.pop(route.tenant, None)
        if self._expected:
            self._expected.discard(route.tenant)
        self._replace(route.tenant, (route, standby))

    def withdraw(self, tenant: str) -> None:
        """Take the tenant's routes away and refuse it until the next `swap`; requests inside keep theirs."""
        self._replace(tenant, None)
        self.expect((tenant,))

    def idle_standbys(self, *, first: str) -> Iterator[Standby]:
        """Give the second versions that get no requests and have none inside: those of the tenant `first` first."""
        own = [self._beside[first]] if first in self._beside else []
        others = [standby for tenant, standby in self._beside.items() if tenant != first]
        for standby in own + others:
            if standby.share == 0 and (name := standby.route.engine_name) and not self.pins(name):
                yield standby

    def drop_standby(self, tenant: str) -> None:
        """Take away the tenant's second version; the active one goes on answering."""
        active, _ = self._routes[tenant]
        self._replace(tenant, (active, None))

    def _replace(self, tenant: str, entry: tuple[Route, Standby | None] | None) -> None:
        before = self._routes.pop(tenant, _NOBODY)
        self._beside.pop(tenant, None)
        if entry is not None:
            self._routes[tenant] = entry
            if entry[1] is not None:
                self._beside[tenant] = entry[1]
            self._routed.update(engine_names(*entry))
            self._revoked -= engine_names(*entry)
        for name in engine_names(*before):
            self._routed[name] -= 1
            if not self._routed[name]:
                del self._routed[name]

    @contextmanager
    def pin(self, tenant: str, *, key: str = "") -> Iterator[Route]:
        """Give one of the tenant's routes, by `key`, for one request and count its adapter as in use meanwhile.

        Raises: Unavailable (ADAPTER_LOADING: the version that should answer is not loaded yet).
        """
        if self._is_refused(tenant):
            if why := self.reason(tenant):
                raise why
            raise Unavailable("the version that should answer is being loaded", reason="ADAPTER_LOADING")
        base = Route(tenant=tenant, version=BASE_VERSION, activation=0, engine_name=None)
        active, standby = self._routes.get(tenant, (base, None))
        with self.held(_chosen(active, standby, key=key)) as route:
            yield route

    def _is_refused(self, tenant: str) -> bool:
        if self._expected is None or tenant in self._expected:
            return True
        return self._is_everybody_expected and tenant not in self._routes

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
                self._revoked.discard(route.engine_name)
                self.on_unpinned(route.engine_name)

    def revoke(self, engine_name: str) -> None:
        """Take note that requests which use the adapter, and have got nothing of it yet, may not any more."""
        if self._pins[engine_name]:
            self._revoked.add(engine_name)

    def is_revoked(self, engine_name: str) -> bool:
        """Return whether the adapter was revoked while requests used it, and no new ones may."""
        return engine_name in self._revoked

    def pins(self, engine_name: str) -> int:
        """Return how many requests use the adapter now."""
        return self._pins[engine_name]


_NOBODY: tuple[None, None] = (None, None)


def engine_names(route: Route | None, standby: Standby | None) -> set[str]:
    """Return the engine names of both; the base model has none."""
    routes = (route, standby.route if standby else None)
    return {one.engine_name for one in routes if one is not None and one.engine_name}


def _chosen(active: Route, standby: Standby | None, *, key: str) -> Route:
    """The active route has the keys from the low end of the hash's range, so that more share takes none away."""
    if standby is None or standby.share == 0:
        return active
    digest = hashlib.sha256(f"{active.tenant}/{active.version}/{standby.route.version}/{key}".encode()).digest()
    place = int.from_bytes(digest[:8]) / 2**64
    return active if place < 1 - standby.share else standby.route
