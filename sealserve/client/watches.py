"""The clients' methods about traffic and watches, blocking and awaited. Both clients have them."""

from collections.abc import AsyncGenerator, Iterator, Mapping

from sealserve.client import watch_calls
from sealserve.client.connection import AsyncConnection, Connection
from sealserve.records.rollouts import Traffic, WatchReport


class WatchMethods(Connection):
    """For `Client`."""

    def traffic(self, tenant: str) -> Traffic:
        """Return how new requests are shared between two versions. Raises: NotFound (tenant)."""
        return self._unary(watch_calls.traffic(tenant))

    def set_traffic(
        self, tenant: str, shares: Mapping[int, float], *, etag: str = "", reason: str = "", request_id: str = ""
    ) -> Traffic:
        """Share new requests between the active version and one that was active before it, together 1.

        Raises: InvalidArgument, NotFound, FailedPrecondition (a version that may not answer), Conflict (etag).
        """
        made = watch_calls.set_traffic(tenant, shares, etag=etag, reason=reason, request_id=request_id)
        return self._unary(made)

    def watch(self, tenant: str, activation: int) -> WatchReport:
        """Return the watch over the version that this activation made active. Raises: NotFound."""
        return self._unary(watch_calls.watch(tenant, activation))

    def watches(self, tenant: str) -> Iterator[WatchReport]:
        """Return the tenant's watches, newest first."""
        return self._pages(lambda token: watch_calls.list_watches(tenant, page_token=token))


class AsyncWatchMethods(AsyncConnection):
    """For `AsyncClient`."""

    async def traffic(self, tenant: str) -> Traffic:
        """Return how new requests are shared between two versions. Raises: NotFound (tenant)."""
        return await self._unary(watch_calls.traffic(tenant))

    async def set_traffic(
        self, tenant: str, shares: Mapping[int, float], *, etag: str = "", reason: str = "", request_id: str = ""
    ) -> Traffic:
        """Share new requests between the active version and one that was active before it, together 1.

        Raises: InvalidArgument, NotFound, FailedPrecondition (a version that may not answer), Conflict (etag).
        """
        made = watch_calls.set_traffic(tenant, shares, etag=etag, reason=reason, request_id=request_id)
        return await self._unary(made)

    async def watch(self, tenant: str, activation: int) -> WatchReport:
        """Return the watch over the version that this activation made active. Raises: NotFound."""
        return await self._unary(watch_calls.watch(tenant, activation))

    def watches(self, tenant: str) -> AsyncGenerator[WatchReport, None]:
        """Return the tenant's watches, newest first."""
        return self._pages(lambda token: watch_calls.list_watches(tenant, page_token=token))
