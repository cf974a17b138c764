"""Calls of SourceService: where documents come from by themselves."""

from sealserve.client.calls.core import PAGE_SIZE, Call, call, new_request_id, page
from sealserve.records.pages import Page
from sealserve.records.sources import ItemState, NewSource, Source, SourceItem
from sealserve.v1 import source_pb2
from sealserve.wire import names, sources


def create_source(tenant: str, new: NewSource, *, request_id: str) -> Call[Source]:
    """Add a source."""
    request = source_pb2.CreateSourceRequest(
        parent=names.tenant_name(tenant),
        source_id=new.name,
        config=sources.config_to_wire(new),
        request_id=request_id or new_request_id(),
    )
    return call("SourceService/CreateSource", request, source_pb2.Source, sources.source_from_wire)


def source(tenant: str, name: str) -> Call[Source]:
    """Ask for one source."""
    request = source_pb2.GetSourceRequest(name=sources.source_name(tenant, name))
    return call("SourceService/GetSource", request, source_pb2.Source, sources.source_from_wire)


def list_sources(tenant: str, *, page_token: str) -> Call[Page[Source]]:
    """Ask for a page of sources."""
    request = source_pb2.ListSourcesRequest(
        parent=names.tenant_name(tenant), page_size=PAGE_SIZE, page_token=page_token
    )
    read = page("sources", sources.source_from_wire)
    return call("SourceService/ListSources", request, source_pb2.ListSourcesResponse, read)


def test_source(tenant: str, name: str) -> Call[tuple[int, tuple[str, ...], str]]:
    """Ask what a source has now: how many items, the first keys, what is wrong."""
    request = source_pb2.TestSourceRequest(name=sources.source_name(tenant, name))
    return call(
        "SourceService/TestSource",
        request,
        source_pb2.TestSourceResponse,
        lambda wire: (int(wire.item_count), tuple(wire.keys), str(wire.error)),
    )


def sync_source(tenant: str, name: str, *, accept_removals: bool) -> Call[Source]:
    """Have the next sync begin soon."""
    request = source_pb2.SyncSourceRequest(name=sources.source_name(tenant, name), accept_removals=accept_removals)
    return call("SourceService/SyncSource", request, source_pb2.Source, sources.source_from_wire)


def delete_source(tenant: str, name: str) -> Call[Source]:
    """Remove a source."""
    request = source_pb2.DeleteSourceRequest(name=sources.source_name(tenant, name))
    return call("SourceService/DeleteSource", request, source_pb2.Source, sources.source_from_wire)


def list_source_items(tenant: str, name: str, *, state: ItemState | None, page_token: str) -> Call[Page[SourceItem]]:
    """Ask for a page of a source's items."""
    request = source_pb2.ListSourceItemsRequest(
        parent=sources.source_name(tenant, name),
        page_size=PAGE_SIZE,
        page_token=page_token,
        state=sources.item_state_to_wire(state),
    )
    read = page("items", lambda wire: sources.item_from_wire(wire, tenant=tenant, source=name))
    return call("SourceService/ListSourceItems", request, source_pb2.ListSourceItemsResponse, read)
