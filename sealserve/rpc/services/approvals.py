"""ApprovalService."""

import asyncio
from typing import Any

from sealserve.errors import Conflict, InvalidArgument
from sealserve.policy.enforcement import PolicyEnforcer
from sealserve.records.approvals import OPINIONS_MOVED, Approval, ApprovalRuling, ApprovalState
from sealserve.records.versions import Activation
from sealserve.registry.registry import Registry
from sealserve.rpc.call_context import actor
from sealserve.rpc.page_tokens import page_size_of, position_of, position_token
from sealserve.v1 import approval_pb2, approval_pb2_grpc
from sealserve.wire import names
from sealserve.wire.adapters import activation_to_wire
from sealserve.wire.approvals import approval_to_wire, state_from_wire


class ApprovalService(approval_pb2_grpc.ApprovalServiceServicer):
    """Shows held versions and takes decisions on them; `enforcer` says what policy has against an approval."""

    def __init__(self, registry: Registry, *, enforcer: PolicyEnforcer) -> None:
        self._registry = registry
        self._enforcer = enforcer

    async def ListApprovals(
        self, request: approval_pb2.ListApprovalsRequest, context: Any
    ) -> approval_pb2.ListApprovalsResponse:
        """Raises: InvalidArgument, NotFound."""
        state = state_from_wire(request.state)
        if request.state and state is None:
            raise InvalidArgument(f"state {request.state} is not one this server knows", field="state")
        scope = f"{request.parent}/approvals/{request.state}"
        size, start = page_size_of(request.page_size), position_of(request.page_token, scope)
        every = await asyncio.to_thread(self._registry.approvals.page, names.tenant_of(request.parent))
        found = [one for one in every if state in (None, one.state)]
        end = start + size
        return approval_pb2.ListApprovalsResponse(
            approvals=map(approval_to_wire, found[start:end]),
            next_page_token=position_token(scope, end) if end < len(found) else "",
        )

    async def GetApproval(self, request: approval_pb2.GetApprovalRequest, context: Any) -> approval_pb2.Approval:
        """Raises: InvalidArgument, NotFound."""
        tenant, version = names.adapter_of(request.name)
        found = await asyncio.to_thread(self._registry.approvals.get, tenant, version)
        if found.state is ApprovalState.APPROVED:
            await asyncio.to_thread(self._enforcer.countersign_released, tenant)  # as it may have been cut off
        return approval_to_wire(found)

    async def ApproveAdapter(
        self, request: approval_pb2.ApproveAdapterRequest, context: Any
    ) -> approval_pb2.ApproveAdapterResponse:
        """Raises: InvalidArgument, NotFound, PermissionDenied, FailedPrecondition, Conflict."""
        approval, moved = await asyncio.to_thread(self._approve, request)
        return approval_pb2.ApproveAdapterResponse(
            approval=approval_to_wire(approval), activation=None if moved is None else activation_to_wire(moved)
        )

    async def RejectAdapter(self, request: approval_pb2.RejectAdapterRequest, context: Any) -> approval_pb2.Approval:
        """Raises: InvalidArgument, NotFound, FailedPrecondition."""
        tenant, version = names.adapter_of(request.name)

        def reject() -> Approval:
            return self._registry.approvals.reject(
                tenant, version, actor=actor(), reason=request.reason, request_id=request.request_id
            )

        return approval_to_wire(await asyncio.to_thread(reject))

    def _approve(self, request: approval_pb2.ApproveAdapterRequest) -> tuple[Approval, Activation | None]:
        """Keep the approval. Whoever else decides meanwhile is counted: policy is asked again."""
        while True:
            try:
                done, moved = self._approved(request)
                break
            except Conflict as error:
                if error.reason != OPINIONS_MOVED:
                    raise
        if moved is not None:
            self._enforcer.countersign_released(moved.tenant, actor=actor())
        return done, moved

    def _approved(self, request: approval_pb2.ApproveAdapterRequest) -> tuple[Approval, Activation | None]:
        tenant, version = names.adapter_of(request.name)
        held = self._registry.approvals.get(tenant, version)
        releases, rulings = self._enforcer.approve(held, actor=actor())
        return self._registry.approvals.approve(
            tenant,
            version,
            actor=actor(),
            reason=request.reason,
            ruling=ApprovalRuling(releases=releases, counted=held.opinions, rulings=rulings),
            expected_etag=request.etag or None,
            request_id=request.request_id,
        )
