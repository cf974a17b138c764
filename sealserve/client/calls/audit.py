"""Calls of AuditService."""

from sealserve.client.calls.core import PAGE_SIZE, Call, call, page
from sealserve.records.audit import AuditRow
from sealserve.records.pages import Page
from sealserve.v1 import audit_pb2
from sealserve.wire import names, tenants


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
