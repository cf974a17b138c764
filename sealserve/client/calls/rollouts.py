"""Calls about traffic (AdapterService) and rollouts (WatchService)."""

from collections.abc import Mapping

from sealserve.client.calls.core import PAGE_SIZE, Call, call, new_request_id, page
from sealserve.records.pages import Page
from sealserve.records.rollouts import Traffic, WatchReport
from sealserve.v1 import adapter_pb2, watch_pb2
from sealserve.wire import names, rollouts


def traffic(tenant: str) -> Call[Traffic]:
    """Ask how requests are shared."""
    request = adapter_pb2.GetTrafficRequest(parent=names.tenant_name(tenant))
    return call("AdapterService/GetTraffic", request, adapter_pb2.Traffic, rollouts.traffic_from_wire)


def set_traffic(tenant: str, shares: Mapping[int, float], *, etag: str, reason: str, request_id: str) -> Call[Traffic]:
    """Share requests between two versions."""
    request = adapter_pb2.SetTrafficRequest(
        parent=names.tenant_name(tenant),
        shares=[
            adapter_pb2.TrafficShare(adapter=names.adapter_name(tenant, version), share=share)
            for version, share in shares.items()
        ],
        etag=etag,
        reason=reason,
        request_id=request_id or new_request_id(),
    )
    return call("AdapterService/SetTraffic", request, adapter_pb2.Traffic, rollouts.traffic_from_wire)


def watch(tenant: str, activation: int) -> Call[WatchReport]:
    """Ask for one watch."""
    request = watch_pb2.GetWatchRequest(name=rollouts.watch_name(tenant, activation))
    return call("WatchService/GetWatch", request, watch_pb2.Watch, rollouts.report_from_wire)


def list_watches(tenant: str, *, page_token: str) -> Call[Page[WatchReport]]:
    """Ask for a page of watches."""
    request = watch_pb2.ListWatchesRequest(parent=names.tenant_name(tenant), page_size=PAGE_SIZE, page_token=page_token)
    read = page("watches", rollouts.report_from_wire)
    return call("WatchService/ListWatches", request, watch_pb2.ListWatchesResponse, read)
