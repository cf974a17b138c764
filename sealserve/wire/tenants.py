"""Tenants and audit rows."""

from sealserve.records.audit import AuditRow
from sealserve.records.tenants import Tenant
from sealserve.v1 import audit_pb2, tenant_pb2
from sealserve.wire import names
from sealserve.wire.values import time_from_wire, time_to_wire, tree_from_wire, tree_to_wire


def tenant_to_wire(tenant: Tenant) -> tenant_pb2.Tenant:
    """Return the whole of `tenant`."""
    return tenant_pb2.Tenant(
        name=names.tenant_name(tenant.tenant),
        display_name=tenant.display_name,
        active_adapter=names.adapter_name(tenant.tenant, tenant.desired_version),
        activation=tenant.activation,
        etag=tenant.etag,
        create_time=time_to_wire(tenant.created_at),
    )


def tenant_from_wire(wire: tenant_pb2.Tenant) -> Tenant:
    """Return the whole of `wire`."""
    return Tenant(
        tenant=names.last_part(wire.name),
        display_name=wire.display_name,
        desired_version=names.adapter_of(wire.active_adapter)[1],
        activation=wire.activation,
        etag=wire.etag,
        created_at=time_from_wire(wire.create_time),
    )


def audit_row_to_wire(row: AuditRow) -> audit_pb2.AuditRow:
    """Return the whole of `row`."""
    return audit_pb2.AuditRow(
        sequence=row.sequence,
        time=time_to_wire(row.at),
        actor=row.actor,
        action=row.action,
        tenant=names.tenant_name(row.tenant) if row.tenant else "",
        subject=row.subject,
        details=tree_to_wire(row.details),
        previous_hash=row.previous_hash,
        hash=row.hash,
    )


def audit_row_from_wire(wire: audit_pb2.AuditRow) -> AuditRow:
    """Return the whole of `wire`."""
    return AuditRow(
        sequence=wire.sequence,
        at=time_from_wire(wire.time),
        actor=wire.actor,
        action=wire.action,
        tenant=names.last_part(wire.tenant),
        subject=wire.subject,
        details=tree_from_wire(wire.details),
        previous_hash=wire.previous_hash,
        hash=wire.hash,
    )
