"""Calls of TenantService."""

from sealserve.client.calls.core import PAGE_SIZE, Call, call, new_request_id, page
from sealserve.records.pages import Page
from sealserve.records.tenants import Tenant
from sealserve.v1 import tenant_pb2
from sealserve.wire import names, tenants


def create_tenant(tenant: str, *, display_name: str, request_id: str) -> Call[Tenant]:
    """Make a tenant."""
    request = tenant_pb2.CreateTenantRequest(
        tenant_id=tenant, display_name=display_name, request_id=request_id or new_request_id()
    )
    return call("TenantService/CreateTenant", request, tenant_pb2.Tenant, tenants.tenant_from_wire)


def tenant(tenant: str) -> Call[Tenant]:
    """Ask for one tenant."""
    request = tenant_pb2.GetTenantRequest(name=names.tenant_name(tenant))
    return call("TenantService/GetTenant", request, tenant_pb2.Tenant, tenants.tenant_from_wire)


def list_tenants(*, page_token: str) -> Call[Page[Tenant]]:
    """Ask for a page of tenants."""
    request = tenant_pb2.ListTenantsRequest(page_size=PAGE_SIZE, page_token=page_token)
    read = page("tenants", tenants.tenant_from_wire)
    return call("TenantService/ListTenants", request, tenant_pb2.ListTenantsResponse, read)
