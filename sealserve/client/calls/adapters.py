"""Calls of AdapterService about versions and activations; its traffic calls are in `rollouts`."""

from sealserve.client.calls.core import PAGE_SIZE, Call, call, new_request_id, page
from sealserve.records.pages import Page
from sealserve.records.reports import AdapterReport
from sealserve.records.versions import Activation, AdapterVersion
from sealserve.v1 import adapter_pb2
from sealserve.wire import adapters, names


def list_adapters(tenant: str, *, page_token: str) -> Call[Page[AdapterVersion]]:
    """Ask for a page of versions."""
    request = adapter_pb2.ListAdaptersRequest(
        parent=names.tenant_name(tenant), page_size=PAGE_SIZE, page_token=page_token
    )
    read = page("adapters", adapters.adapter_from_wire)
    return call("AdapterService/ListAdapters", request, adapter_pb2.ListAdaptersResponse, read)


def adapter(tenant: str, version: int) -> Call[AdapterVersion]:
    """Ask for one version."""
    request = adapter_pb2.GetAdapterRequest(name=names.adapter_name(tenant, version))
    return call("AdapterService/GetAdapter", request, adapter_pb2.Adapter, adapters.adapter_from_wire)


def promote(tenant: str, version: int, *, etag: str, reason: str, request_id: str) -> Call[Activation]:
    """Make a version answer."""
    request = adapter_pb2.PromoteAdapterRequest(
        name=names.adapter_name(tenant, version),
        etag=etag,
        reason=reason,
        request_id=request_id or new_request_id(),
    )
    return call("AdapterService/PromoteAdapter", request, adapter_pb2.Activation, adapters.activation_from_wire)


def rollback(tenant: str, *, to_version: int | None, etag: str, reason: str, request_id: str) -> Call[Activation]:
    """Go back."""
    request = adapter_pb2.RollbackAdapterRequest(
        parent=names.tenant_name(tenant),
        to_adapter="" if to_version is None else names.adapter_name(tenant, to_version),
        etag=etag,
        reason=reason,
        request_id=request_id or new_request_id(),
    )
    return call("AdapterService/RollbackAdapter", request, adapter_pb2.Activation, adapters.activation_from_wire)


def list_activations(tenant: str, *, page_token: str) -> Call[Page[Activation]]:
    """Ask for a page of the pointer's moves."""
    request = adapter_pb2.ListActivationsRequest(
        parent=names.tenant_name(tenant), page_size=PAGE_SIZE, page_token=page_token
    )
    read = page("activations", adapters.activation_from_wire)
    return call("AdapterService/ListActivations", request, adapter_pb2.ListActivationsResponse, read)


def watch_adapters(tenant: str) -> Call[AdapterReport]:
    """Be told what is desired and observed."""
    request = adapter_pb2.WatchAdaptersRequest(parent=names.tenant_name(tenant))
    response = adapter_pb2.WatchAdaptersResponse
    return call("AdapterService/WatchAdapters", request, response, adapters.report_from_wire)
