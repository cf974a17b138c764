"""CanaryService: what must not get lost, and how versions do in it."""

import asyncio
from typing import Any

from sealserve.errors import InvalidArgument
from sealserve.records.canary_suites import CanarySuite
from sealserve.registry.registry import Registry
from sealserve.rpc.call_context import actor
from sealserve.rpc.page_tokens import page_size_of
from sealserve.v1 import canary_pb2, canary_pb2_grpc
from sealserve.wire import canaries, names
from sealserve.wire.values import without_long_items


class CanaryService(canary_pb2_grpc.CanaryServiceServicer):
    """Keeps tenants' canary suites and shows them, and the trend of versions in them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def PutCanarySuite(
        self, request: canary_pb2.PutCanarySuiteRequest, context: Any
    ) -> canary_pb2.PutCanarySuiteResponse:
        """Raises: InvalidArgument, NotFound, FailedPrecondition (too many suites), QuotaExceeded."""
        tenant, who = names.tenant_of(request.parent), actor()

        def put() -> tuple[CanarySuite, bool]:
            items = tuple(map(canaries.item_from_wire, request.items))
            return self._registry.canary_suites.put(
                tenant, request.suite_id, items, actor=who, request_id=request.request_id
            )

        kept, is_new = await asyncio.to_thread(put)
        return canary_pb2.PutCanarySuiteResponse(
            canary_suite=without_long_items(canaries.suite_to_wire(kept)), already_known=not is_new
        )

    async def GetCanarySuite(self, request: canary_pb2.GetCanarySuiteRequest, context: Any) -> canary_pb2.CanarySuite:
        """Raises: InvalidArgument, NotFound."""
        tenant, name = canaries.suite_of(request.name)
        if request.version < 0:
            raise InvalidArgument("version counts from 1; 0 is the newest", field="version")
        kept = await asyncio.to_thread(self._registry.canary_suites.get, tenant, name, version=request.version)
        return canaries.suite_to_wire(kept)

    async def ListCanarySuites(
        self, request: canary_pb2.ListCanarySuitesRequest, context: Any
    ) -> canary_pb2.ListCanarySuitesResponse:
        """Raises: InvalidArgument, NotFound."""
        page = await asyncio.to_thread(
            self._registry.canary_suites.page,
            names.tenant_of(request.parent),
            page_size=page_size_of(request.page_size),
            page_token=request.page_token,
        )
        return canary_pb2.ListCanarySuitesResponse(
            canary_suites=map(canaries.suite_to_wire, page.items),
            next_page_token=page.next_page_token,
        )

    async def RetireCanarySuite(
        self, request: canary_pb2.RetireCanarySuiteRequest, context: Any
    ) -> canary_pb2.CanarySuite:
        """Raises: InvalidArgument, NotFound."""
        tenant, name = canaries.suite_of(request.name)
        who = actor()

        def retire() -> CanarySuite:
            return self._registry.canary_suites.retire(tenant, name, actor=who, reason=request.reason)

        return without_long_items(canaries.suite_to_wire(await asyncio.to_thread(retire)))

    async def ListCanaryResults(
        self, request: canary_pb2.ListCanaryResultsRequest, context: Any
    ) -> canary_pb2.ListCanaryResultsResponse:
        """Raises: InvalidArgument, NotFound."""
        page = await asyncio.to_thread(
            self._registry.canary_suites.results,
            names.tenant_of(request.parent),
            suite=request.suite_id,
            page_size=page_size_of(request.page_size),
            page_token=request.page_token,
        )
        return canary_pb2.ListCanaryResultsResponse(
            results=map(canaries.result_to_wire, page.items), next_page_token=page.next_page_token
        )
