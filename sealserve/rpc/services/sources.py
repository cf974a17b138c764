"""SourceService: keeps sources, and shows what became of their items. Syncs are the source runner's."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sealserve.errors import InvalidArgument, PermissionDenied, SealserveError
from sealserve.records.principals import Role
from sealserve.records.sources import SourceKind
from sealserve.registry.registry import Registry
from sealserve.rpc.call_context import CURRENT_PRINCIPAL, actor
from sealserve.rpc.page_tokens import page_size_of
from sealserve.settings.sources import SourceSettings
from sealserve.sources.child import ChildConnector
from sealserve.sources.connector import Connector, Spec, Unchanged, advised
from sealserve.sources.kinds import is_local, spec_of
from sealserve.v1 import source_pb2, source_pb2_grpc
from sealserve.wire import names
from sealserve.wire import sources as wire

SHOWN_KEYS = 20
TESTS_AT_ONCE = 2
"""In threads of their own: a slow source must not keep other calls from the registry."""


class SourceService(source_pb2_grpc.SourceServiceServicer):
    """Keeps and shows tenants' sources."""

    def __init__(
        self,
        registry: Registry,
        settings: SourceSettings,
        *,
        max_item_bytes: int,
        connect: Callable[[Spec], Connector] = ChildConnector,
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._max_item_bytes = max_item_bytes
        self._connect = connect
        self._testers = ThreadPoolExecutor(max_workers=TESTS_AT_ONCE, thread_name_prefix="source-test")

    async def CreateSource(self, request: source_pb2.CreateSourceRequest, context: Any) -> source_pb2.Source:
        """Raises: InvalidArgument, NotFound, AlreadyExists, QuotaExceeded."""
        tenant, who = names.tenant_of(request.parent), actor()
        new = wire.new_source_from_wire(request.config, name=request.source_id)
        new.require_sound(tenant)
        if is_local(new):
            spec_of(new, tenant, self._settings, max_item_bytes=self._max_item_bytes)
        made = await asyncio.to_thread(
            self._registry.sources.create,
            tenant,
            new,
            actor=who,
            max_sources=self._settings.max_per_tenant,
            request_id=request.request_id,
        )
        return wire.source_to_wire(made)

    async def GetSource(self, request: source_pb2.GetSourceRequest, context: Any) -> source_pb2.Source:
        """Raises: InvalidArgument, NotFound."""
        return wire.source_to_wire(await asyncio.to_thread(self._registry.sources.get, *wire.source_of(request.name)))

    async def ListSources(self, request: source_pb2.ListSourcesRequest, context: Any) -> source_pb2.ListSourcesResponse:
        """Raises: InvalidArgument, NotFound."""
        page = await asyncio.to_thread(
            self._registry.sources.page,
            names.tenant_of(request.parent),
            page_size=page_size_of(request.page_size),
            page_token=request.page_token,
        )
        return source_pb2.ListSourcesResponse(
            sources=map(wire.source_to_wire, page.items), next_page_token=page.next_page_token
        )

    async def TestSource(self, request: source_pb2.TestSourceRequest, context: Any) -> source_pb2.TestSourceResponse:
        """Raises: InvalidArgument, NotFound."""
        tenant, name = wire.source_of(request.name)
        source = await asyncio.to_thread(self._registry.sources.get, tenant, name)
        try:
            spec = await asyncio.to_thread(spec_of, source, tenant, self._settings, max_item_bytes=self._max_item_bytes)
            if source.kind is SourceKind.WEBHOOK:
                return source_pb2.TestSourceResponse()  # its signing key is there, and there is nothing to fetch
            connector = await asyncio.to_thread(self._connect, spec)
        except SealserveError as error:
            return source_pb2.TestSourceResponse(error=advised(error))
        running = asyncio.get_running_loop().run_in_executor(self._testers, _tested, connector)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.cancel()  # it may wait for its turn; else closing ends what it waits for
            connector.close()
            raise

    async def SyncSource(self, request: source_pb2.SyncSourceRequest, context: Any) -> source_pb2.Source:
        """Raises: InvalidArgument (also: a webhook), NotFound, PermissionDenied (accept_removals)."""
        tenant, name = wire.source_of(request.name)
        caller = CURRENT_PRINCIPAL.get()
        if request.accept_removals and not caller.has(Role.TENANT_ADMIN):
            text = f"{caller.name} is {caller.role} and may not have documents forgotten: tenant-admin is needed"
            raise PermissionDenied(text)
        asked = await asyncio.to_thread(
            self._registry.sources.request_sync,
            tenant,
            name,
            accept_removals=request.accept_removals,
            actor=actor(),
        )
        return wire.source_to_wire(asked)

    async def DeleteSource(self, request: source_pb2.DeleteSourceRequest, context: Any) -> source_pb2.Source:
        """Raises: InvalidArgument, NotFound."""
        tenant, name = wire.source_of(request.name)
        return wire.source_to_wire(await asyncio.to_thread(self._registry.sources.delete, tenant, name, actor=actor()))

    async def ListSourceItems(
        self, request: source_pb2.ListSourceItemsRequest, context: Any
    ) -> source_pb2.ListSourceItemsResponse:
        """Raises: InvalidArgument, NotFound."""
        state = wire.item_state_from_wire(request.state)
        if request.state and state is None:
            raise InvalidArgument(f"state {request.state} is not one this server knows", field="state")
        tenant, name = wire.source_of(request.parent, field="parent")
        page = await asyncio.to_thread(
            self._registry.sources.items,
            tenant,
            name,
            state=state,
            page_size=page_size_of(request.page_size),
            page_token=request.page_token,
        )
        return source_pb2.ListSourceItemsResponse(
            items=map(wire.item_to_wire, page.items), next_page_token=page.next_page_token
        )


def _tested(connector: Connector) -> source_pb2.TestSourceResponse:
    """Look at the source without taking anything in."""
    try:
        found = connector.listing("")
    except SealserveError as error:
        return source_pb2.TestSourceResponse(error=advised(error))
    finally:
        connector.close()
    items = () if isinstance(found, Unchanged) else found.items
    fault = "" if isinstance(found, Unchanged) else found.fault
    keys = [item.key for item in items[:SHOWN_KEYS]]
    return source_pb2.TestSourceResponse(item_count=len(items), keys=keys, error=fault)
