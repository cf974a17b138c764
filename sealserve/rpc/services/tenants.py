"""TenantService."""

import asyncio
from typing import Any

from sealserve.records.tenants import Tenant
from sealserve.registry.registry import Registry
from sealserve.rpc.call_context import CURRENT_PRINCIPAL, actor
from sealserve.rpc.page_tokens import page_size_of
from sealserve.v1 import tenant_pb2, tenant_pb2_grpc
from sealserve.wire import names
from sealserve.wire.tenants import tenant_to_wire


class TenantService(tenant_pb2_grpc.TenantServiceServicer):
    """Makes and shows tenants."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def CreateTenant(self, request: tenant_pb2.CreateTenantRequest, context: Any) -> tenant_pb2.Tenant:
        """Raises: InvalidArgument, AlreadyExists."""

        def create() -> Tenant:
            return self._registry.tenants.create(
                request.tenant_id, display_name=request.display_name, actor=actor(), request_id=request.request_id
            )

        return tenant_to_wire(await asyncio.to_thread(create))

    async def GetTenant(self, request: tenant_pb2.GetTenantRequest, context: Any) -> tenant_pb2.Tenant:
        """Raises: InvalidArgument, NotFound."""
        tenant = names.tenant_of(request.name, field="name")
        return tenant_to_wire(await asyncio.to_thread(self._registry.tenants.get, tenant))

    async def ListTenants(self, request: tenant_pb2.ListTenantsRequest, context: Any) -> tenant_pb2.ListTenantsResponse:
        """Raises: InvalidArgument."""
        page = await asyncio.to_thread(
            self._registry.tenants.page,
            only=CURRENT_PRINCIPAL.get().tenants,
            page_size=page_size_of(request.page_size),
            page_token=request.page_token,
        )
        return tenant_pb2.ListTenantsResponse(
            tenants=map(tenant_to_wire, page.items), next_page_token=page.next_page_token
        )
