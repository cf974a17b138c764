"""Calls of ApprovalService: decisions on held versions."""

from typing import Any

from sealserve.client.calls.core import PAGE_SIZE, Call, call, new_request_id, page
from sealserve.records.approvals import Approval, ApprovalState
from sealserve.records.pages import Page
from sealserve.records.versions import Activation
from sealserve.v1 import approval_pb2
from sealserve.wire import adapters, approvals, names


def list_approvals(tenant: str, *, state: ApprovalState | None, page_token: str) -> Call[Page[Approval]]:
    """Ask for a page of held versions."""
    request = approval_pb2.ListApprovalsRequest(
        parent=names.tenant_name(tenant),
        state=approvals.state_to_wire(state),
        page_size=PAGE_SIZE,
        page_token=page_token,
    )
    read = page("approvals", approvals.approval_from_wire)
    return call("ApprovalService/ListApprovals", request, approval_pb2.ListApprovalsResponse, read)


def approval(tenant: str, version: int) -> Call[Approval]:
    """Ask where a held version stands."""
    request = approval_pb2.GetApprovalRequest(name=names.adapter_name(tenant, version))
    return call("ApprovalService/GetApproval", request, approval_pb2.Approval, approvals.approval_from_wire)


def approve(
    tenant: str, version: int, *, etag: str, reason: str, request_id: str
) -> Call[tuple[Approval, Activation | None]]:
    """Approve a held version."""
    request = approval_pb2.ApproveAdapterRequest(
        name=names.adapter_name(tenant, version),
        etag=etag,
        reason=reason,
        request_id=request_id or new_request_id(),
    )

    def read(wire: Any) -> tuple[Approval, Activation | None]:
        moved = adapters.activation_from_wire(wire.activation) if wire.HasField("activation") else None
        return approvals.approval_from_wire(wire.approval), moved

    return call("ApprovalService/ApproveAdapter", request, approval_pb2.ApproveAdapterResponse, read)


def reject(tenant: str, version: int, *, reason: str, request_id: str) -> Call[Approval]:
    """Reject a held version."""
    request = approval_pb2.RejectAdapterRequest(
        name=names.adapter_name(tenant, version), reason=reason, request_id=request_id or new_request_id()
    )
    return call("ApprovalService/RejectAdapter", request, approval_pb2.Approval, approvals.approval_from_wire)
