"""The clients' methods about canary suites, blocking and awaited. Both clients have them."""

from collections.abc import AsyncGenerator, Iterable, Iterator

from sealserve.client import canary_calls
from sealserve.client.connection import AsyncConnection, Connection
from sealserve.records.canary_suites import CanaryItem, CanaryResult, CanarySuite


class CanaryMethods(Connection):
    """For `Client`."""

    def put_canary_suite(
        self, tenant: str, name: str, items: Iterable[CanaryItem], *, request_id: str = ""
    ) -> tuple[CanarySuite, bool]:
        """Hand in what must not get lost; return the suite, and whether it is new. Raises: InvalidArgument."""
        return self._unary(canary_calls.put_canary_suite(tenant, name, items, request_id=request_id))

    def canary_suite(self, tenant: str, name: str, *, version: int = 0) -> CanarySuite:
        """Return one suite with its items, the newest version if none is named. Raises: NotFound."""
        return self._unary(canary_calls.canary_suite(tenant, name, version=version))

    def canary_suites(self, tenant: str) -> Iterator[tuple[CanarySuite, int]]:
        """Return every version of the tenant's suites, newest first: each without items, and how many it has."""
        return self._pages(lambda token: canary_calls.list_canary_suites(tenant, page_token=token))

    def retire_canary_suite(self, tenant: str, name: str, *, reason: str = "") -> CanarySuite:
        """Have a suite asked no more; twice is the same as once. Raises: NotFound."""
        return self._unary(canary_calls.retire_canary_suite(tenant, name, reason=reason))

    def canary_results(self, tenant: str, *, suite: str = "") -> Iterator[CanaryResult]:
        """Return how active versions did in each nightly evaluation, newest first."""
        return self._pages(lambda token: canary_calls.list_canary_results(tenant, suite=suite, page_token=token))


class AsyncCanaryMethods(AsyncConnection):
    """For `AsyncClient`."""

    async def put_canary_suite(
        self, tenant: str, name: str, items: Iterable[CanaryItem], *, request_id: str = ""
    ) -> tuple[CanarySuite, bool]:
        """Hand in what must not get lost; return the suite, and whether it is new. Raises: InvalidArgument."""
        return await self._unary(canary_calls.put_canary_suite(tenant, name, items, request_id=request_id))

    async def canary_suite(self, tenant: str, name: str, *, version: int = 0) -> CanarySuite:
        """Return one suite with its items, the newest version if none is named. Raises: NotFound."""
        return await self._unary(canary_calls.canary_suite(tenant, name, version=version))

    def canary_suites(self, tenant: str) -> AsyncGenerator[tuple[CanarySuite, int], None]:
        """Return every version of the tenant's suites, newest first: each without items, and how many it has."""
        return self._pages(lambda token: canary_calls.list_canary_suites(tenant, page_token=token))

    async def retire_canary_suite(self, tenant: str, name: str, *, reason: str = "") -> CanarySuite:
        """Have a suite asked no more; twice is the same as once. Raises: NotFound."""
        return await self._unary(canary_calls.retire_canary_suite(tenant, name, reason=reason))

    def canary_results(self, tenant: str, *, suite: str = "") -> AsyncGenerator[CanaryResult, None]:
        """Return how active versions did in each nightly evaluation, newest first."""
        return self._pages(lambda token: canary_calls.list_canary_results(tenant, suite=suite, page_token=token))
