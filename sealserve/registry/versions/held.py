"""Versions that policy left to people: their list, their states, and the check that none is promoted unapproved.

Read-only; `approvals.py` decides on them.
"""

from typing import Any

from sqlalchemy import Row, Select, and_, select

from sealserve.errors import FailedPrecondition, NotFound
from sealserve.records.approvals import Approval, ApprovalState, Vote
from sealserve.records.cycles import CycleState
from sealserve.records.versions import VersionState
from sealserve.registry import tenants
from sealserve.registry.cycles import cycle_rows
from sealserve.registry.sql import tables as t
from sealserve.registry.sql.database import Transaction
from sealserve.registry.versions.version_rows import resource


def of_tenant(tx: Transaction, tenant: str) -> tuple[Approval, ...]:
    """Return every version of the tenant that was ever held, newest first. Raises: NotFound (tenant)."""
    tenants.get(tx, tenant)
    rows = tx.rows(_held(tenant).order_by(t.versions.c.version.desc()))
    return tuple(_record(tx, row) for row in rows)


def tenants_of_held(tx: Transaction) -> tuple[str, ...]:
    """Return the tenants of which a version was ever held, by name."""
    query = select(t.cycles.c.tenant).where(t.cycles.c.state == CycleState.HELD).distinct()
    return tuple(row.tenant for row in tx.rows(query.order_by(t.cycles.c.tenant)))


def get(tx: Transaction, tenant: str, version: int) -> Approval:
    """Return the state of a held version. Raises: NotFound (no such version, or it was never held)."""
    tenants.get(tx, tenant)
    row = tx.row(_held(tenant).where(t.versions.c.version == version))
    if row is None:
        raise NotFound(resource(tenant, version), kind="held version")
    return _record(tx, row)


def require_released(tx: Transaction, tenant: str, version: int) -> None:
    """Return unless people have yet to release `version`, or refused to. Raises: FailedPrecondition."""
    row = tx.row(_held(tenant).where(t.versions.c.version == version))
    state = _record(tx, row).state if row is not None else ApprovalState.APPROVED
    if state is ApprovalState.APPROVED:
        return
    name = resource(tenant, version)
    if state is ApprovalState.REJECTED:
        raise FailedPrecondition(f"{name} was held and then rejected by a person", reason="VERSION_REJECTED")
    raise FailedPrecondition(
        f"{name} is held and waits for a person: sealserve approvals show {tenant} {version}",
        reason="AWAITS_APPROVAL",
    )


def unreleased(tx: Transaction, tenant: str) -> frozenset[int]:
    """Return the held versions that people have yet to release, or refused to."""
    rows = tx.rows(_held(tenant))
    return frozenset(row.version for row in rows if _record(tx, row).state is not ApprovalState.APPROVED)


def _held(tenant: str) -> Select[Any]:
    is_own = and_(t.cycles.c.cycle == t.versions.c.cycle, t.cycles.c.version == t.versions.c.version)
    return (
        select(
            t.versions.c.tenant,
            t.versions.c.version,
            t.versions.c.cycle,
            t.versions.c.state,
            t.versions.c.parent,
            t.versions.c.created_at,
            t.cycles.c.reason,
            t.tenants.c.desired_version,
        )
        .join(t.cycles, is_own)
        .join(t.tenants, t.tenants.c.tenant == t.versions.c.tenant)
        .where(t.versions.c.tenant == tenant, t.cycles.c.state == CycleState.HELD)
    )


def _record(tx: Transaction, row: Row[Any]) -> Approval:
    given = tx.rows(select(t.opinions).where(t.opinions.c.cycle == row.cycle).order_by(t.opinions.c.sequence))
    return Approval(
        tenant=row.tenant,
        version=row.version,
        cycle=row.cycle,
        state=_state(row, given),
        reason=row.reason,
        authors=cycle_rows.authors_of(tx, row.tenant, row.cycle),
        opinions=tuple(
            Vote(actor=one.actor, approves=one.approves, reason=one.reason, given_at=one.given_at) for one in given
        ),
        held_at=row.created_at,
    )


def _state(row: Row[Any], given: Any) -> ApprovalState:
    if any(one.releases for one in given):
        return ApprovalState.APPROVED
    if any(not one.approves for one in given):
        return ApprovalState.REJECTED
    is_fit = row.state == VersionState.READY and row.parent == row.desired_version
    return ApprovalState.WAITING if is_fit else ApprovalState.LATE
