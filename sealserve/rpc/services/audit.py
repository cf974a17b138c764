"""AuditService."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sealserve.records.audit import AuditRow
from sealserve.registry.registry import Registry
from sealserve.rpc.call_context import CURRENT_PRINCIPAL
from sealserve.rpc.page_tokens import page_size_of, position_of, position_token
from sealserve.v1 import audit_pb2, audit_pb2_grpc
from sealserve.wire import names
from sealserve.wire.tenants import audit_row_to_wire


class AuditService(audit_pb2_grpc.AuditServiceServicer):
    """Shows the audit trail."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def ListAuditRows(
        self, request: audit_pb2.ListAuditRowsRequest, context: Any
    ) -> audit_pb2.ListAuditRowsResponse:
        """Places in the chain, which is everybody's, are not told to those bound to tenants: gaps say what others do.

        Raises: InvalidArgument, NotFound.
        """
        tenant = None
        if request.parent != names.tenant_name(names.ANY_TENANT):
            tenant = names.tenant_of(request.parent)
            await asyncio.to_thread(self._registry.tenants.get, tenant)
        size = page_size_of(request.page_size)
        after = position_of(request.page_token, request.parent)
        rows = await asyncio.to_thread(self._registry.audit.rows, tenant=tenant, after=after, limit=size + 1)
        token = position_token(request.parent, rows[size - 1].sequence) if len(rows) > size else ""
        shown: Sequence[AuditRow] = rows[:size]
        if CURRENT_PRINCIPAL.get().tenants is not None:
            shown = [replace(row, sequence=0, previous_hash="") for row in shown]
        return audit_pb2.ListAuditRowsResponse(rows=map(audit_row_to_wire, shown), next_page_token=token)

    async def VerifyAudit(self, request: audit_pb2.VerifyAuditRequest, context: Any) -> audit_pb2.VerifyAuditResponse:
        """Raises: CorruptArtifact."""
        return audit_pb2.VerifyAuditResponse(rows=await asyncio.to_thread(self._registry.audit.verify))
