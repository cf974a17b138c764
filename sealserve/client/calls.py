"""Every call a client can make: the method, the request, and how its answer is read. No channel, no I/O.

Both clients build their calls here, so that they differ in nothing but `await`.
"""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from sealserve.errors import InvalidArgument
from sealserve.records.audit import AuditRow
from sealserve.records.cycles import SelfEdit
from sealserve.records.inference import ChatTurn, Sampling
from sealserve.records.pages import Page
from sealserve.records.reports import AdapterReport, Answer, AnswerEvent, CycleReport, ServerInfo
from sealserve.records.tenants import Tenant
from sealserve.records.versions import Activation, AdapterVersion
from sealserve.v1 import adapter_pb2, audit_pb2, cycle_pb2, inference_pb2, tenant_pb2
from sealserve.wire import adapters, cycles, inference, names, tenants
from sealserve.wire.engine import sampling_to_wire, turns_to_wire

T = TypeVar("T")
R = TypeVar("R")

PACKAGE = "sealserve.v1"
PAGE_SIZE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One call: `/package.service/method` with `request`, its response class, and how to read the response."""

    path: str
    request: Message
    response: type[Message]
    read: Callable[[Any], T]


def method(call: Call[Any]) -> dict[str, Any]:
    """Return the arguments that make a channel's multi-callable for `call`."""
    return {
        "method": call.path,
        "request_serializer": type(call.request).SerializeToString,
        "response_deserializer": call.response.FromString,
    }


def check_size(request: Message, *, max_bytes: int) -> None:
    """Return if `request` may be sent. Raises: InvalidArgument (TOO_LARGE), before a byte is sent."""
    size = request.ByteSize()
    if size > max_bytes:
        text = f"the request is {size} bytes; a message has at most {max_bytes}: split the document or shorten the text"
        raise InvalidArgument(text, field="content", reason="TOO_LARGE")


def call(method: str, request: Message, response: type[Message], read: Callable[[Any], T]) -> Call[T]:
    """Return the call of `service/method` in our package."""
    return Call(path=f"/{PACKAGE}.{method}", request=request, response=response, read=read)


def new_request_id() -> str:
    """Return an id nobody used before."""
    return uuid.uuid4().hex


def conversation(question: str | Iterable[ChatTurn]) -> tuple[ChatTurn, ...]:
    """Return the turns of a conversation, or of a bare question."""
    return (ChatTurn(role="user", content=question),) if isinstance(question, str) else tuple(question)


def generate(
    tenant: str,
    question: str | Iterable[ChatTurn],
    *,
    sampling: Sampling,
    request_id: str,
    min_activation: int,
    sticky_key: str = "",
) -> Call[Answer]:
    """Answer in one message."""
    request = inference_pb2.GenerateRequest(
        parent=names.tenant_name(tenant),
        messages=turns_to_wire(conversation(question)),
        sampling=sampling_to_wire(sampling),
        request_id=request_id,
        min_activation=min_activation,
        sticky_key=sticky_key,
    )
    return call("InferenceService/Generate", request, inference_pb2.GenerateResponse, inference.answer_from_wire)


def stream(
    tenant: str,
    question: str | Iterable[ChatTurn],
    *,
    sampling: Sampling,
    request_id: str,
    min_activation: int,
    sticky_key: str = "",
) -> Call[AnswerEvent]:
    """Answer piece by piece."""
    request = inference_pb2.StreamGenerateRequest(
        parent=names.tenant_name(tenant),
        messages=turns_to_wire(conversation(question)),
        sampling=sampling_to_wire(sampling),
        request_id=request_id,
        min_activation=min_activation,
        sticky_key=sticky_key,
    )
    response = inference_pb2.StreamGenerateResponse
    return call("InferenceService/StreamGenerate", request, response, inference.event_from_wire)


def count_tokens(tenant: str, question: str | Iterable[ChatTurn]) -> Call[int]:
    """Count the tokens of a conversation."""
    request = inference_pb2.CountTokensRequest(
        parent=names.tenant_name(tenant), messages=turns_to_wire(conversation(question))
    )
    return call(
        "InferenceService/CountTokens", request, inference_pb2.CountTokensResponse, lambda wire: int(wire.prompt_tokens)
    )


def server_info() -> Call[ServerInfo]:
    """Ask what answers here."""
    request = inference_pb2.GetServerInfoRequest()
    return call("InferenceService/GetServerInfo", request, inference_pb2.ServerInfo, inference.server_info_from_wire)


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


def list_audit_rows(tenant: str | None, *, page_token: str) -> Call[Page[AuditRow]]:
    """Ask for a page of the audit trail; None is all tenants."""
    request = audit_pb2.ListAuditRowsRequest(
        parent=names.tenant_name(tenant or names.ANY_TENANT), page_size=PAGE_SIZE, page_token=page_token
    )
    read = page("rows", tenants.audit_row_from_wire)
    return call("AuditService/ListAuditRows", request, audit_pb2.ListAuditRowsResponse, read)


def verify_audit() -> Call[int]:
    """Check the audit chain."""
    request = audit_pb2.VerifyAuditRequest()
    return call("AuditService/VerifyAudit", request, audit_pb2.VerifyAuditResponse, lambda wire: int(wire.rows))


def page(field: str, read: Callable[[Any], R]) -> Callable[[Any], Page[R]]:
    """Return how to read a listing whose items are in `field`."""

    def read_page(wire: Any) -> Page[R]:
        return Page(items=tuple(read(item) for item in getattr(wire, field)), next_page_token=wire.next_page_token)

    return read_page
