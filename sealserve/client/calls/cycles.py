"""Calls of CycleService: learning cycles and their self-edits."""

from sealserve.client.calls.core import PAGE_SIZE, Call, call, new_request_id, page
from sealserve.records.cycles import SelfEdit
from sealserve.records.pages import Page
from sealserve.records.reports import CycleReport
from sealserve.v1 import cycle_pb2
from sealserve.wire import cycles, names


def start_cycle(tenant: str, *, request_id: str) -> Call[CycleReport]:
    """Start a cycle for the admitted documents."""
    request = cycle_pb2.StartCycleRequest(parent=names.tenant_name(tenant), request_id=request_id or new_request_id())
    return call("CycleService/StartCycle", request, cycle_pb2.Cycle, cycles.cycle_from_wire)


def cycle(tenant: str, cycle: str) -> Call[CycleReport]:
    """Ask for one cycle."""
    request = cycle_pb2.GetCycleRequest(name=names.cycle_name(tenant, cycle))
    return call("CycleService/GetCycle", request, cycle_pb2.Cycle, cycles.cycle_from_wire)


def list_cycles(tenant: str, *, page_token: str) -> Call[Page[CycleReport]]:
    """Ask for a page of cycles."""
    request = cycle_pb2.ListCyclesRequest(parent=names.tenant_name(tenant), page_size=PAGE_SIZE, page_token=page_token)
    read = page("cycles", cycles.cycle_from_wire)
    return call("CycleService/ListCycles", request, cycle_pb2.ListCyclesResponse, read)


def watch_cycle(tenant: str, cycle: str) -> Call[CycleReport]:
    """Be told how a cycle goes."""
    request = cycle_pb2.WatchCycleRequest(name=names.cycle_name(tenant, cycle))
    response = cycle_pb2.WatchCycleResponse
    return call("CycleService/WatchCycle", request, response, lambda wire: cycles.cycle_from_wire(wire.cycle))


def list_self_edits(tenant: str, cycle: str, *, page_token: str) -> Call[Page[SelfEdit]]:
    """Ask for a page of a cycle's self-edits."""
    request = cycle_pb2.ListSelfEditsRequest(
        parent=names.cycle_name(tenant, cycle), page_size=PAGE_SIZE, page_token=page_token
    )
    read = page("self_edits", cycles.self_edit_from_wire)
    return call("CycleService/ListSelfEdits", request, cycle_pb2.ListSelfEditsResponse, read)
