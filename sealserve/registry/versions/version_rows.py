"""Adapter versions: making, finding and quarantining them. `activations.py` says which one is active."""

from typing import Any

from sqlalchemy import Row, Subquery, and_, func, select, update

from sealserve.errors import FailedPrecondition, InvalidArgument, NotFound
from sealserve.records.pages import Page
from sealserve.records.versions import BASE_VERSION, AdapterVersion, Lineage, VersionState
from sealserve.registry import audit, state_machine, tenants
from sealserve.registry.documents import document_rows
from sealserve.registry.sql import paging
from sealserve.registry.sql import tables as t
from sealserve.registry.sql.database import Transaction
from sealserve.registry.step_effects import Publish
from sealserve.wire.names import adapter_name

_MAX_VERSION = 2**31 - 1  # of the column


def create(tx: Transaction, tenant: str, *, publish: Publish, cycle: str, actor: str) -> AdapterVersion:
    """Make the tenant's next version. Raises: NotFound (parent or a document)."""
    if publish.parent != BASE_VERSION:
        get(tx, tenant, publish.parent)
    document_rows.require_all(tx, tenant, publish.documents)
    tx.run(update(t.tenants).where(t.tenants.c.tenant == tenant).values(newest_version=t.tenants.c.newest_version + 1))
    number = _newest(tx, tenant)
    tx.insert(
        t.versions,
        [
            {
                "tenant": tenant,
                "version": number,
                "artifact": publish.artifact,
                "engine_name": f"{tenant}@v{number}-{publish.artifact[:12]}",
                "state": VersionState.READY,
                "reason": "",
                "cycle": cycle,
                "parent": publish.parent,
                "lineage": publish.lineage.to_json(),
                "created_at": tx.now,
            }
        ],
    )
    tx.insert(
        t.version_documents,
        [
            {"tenant": tenant, "version": number, "position": position, "document": document}
            for position, document in enumerate(publish.documents)
        ],
    )
    audit.append(
        tx,
        "adapter.publish",
        actor=actor,
        tenant=tenant,
        subject=resource(tenant, number),
        details={"artifact": publish.artifact, "cycle": cycle, "parent": publish.parent},
    )
    return get(tx, tenant, number)


def get(tx: Transaction, tenant: str, version: int) -> AdapterVersion:
    """Return the version. Raises: NotFound, also for the base model, which is no adapter."""
    tenants.get(tx, tenant)
    query = select(t.versions).where(t.versions.c.tenant == tenant, t.versions.c.version == version)
    row = tx.row(query) if 0 < version <= _MAX_VERSION else None
    if row is None:
        raise NotFound(resource(tenant, version), kind="adapter version")
    return _record(row, held=held_documents(tx, tenant, version))


def pages(tx: Transaction, tenant: str, *, page_size: int, page_token: str) -> Page[AdapterVersion]:
    """Return the tenant's versions, newest first. Raises: NotFound (tenant), InvalidArgument."""
    tenants.get(tx, tenant)
    return paging.page(
        tx,
        select(t.versions).where(t.versions.c.tenant == tenant),
        key=t.versions.c.version,
        scope=f"{tenant}/adapters",
        page_size=page_size,
        page_token=page_token,
        newest_first=True,
        convert=lambda row: _record(row, held=held_documents(tx, tenant, row.version)),
    )


def is_ready(tx: Transaction, tenant: str, version: int) -> bool:
    """Return whether `version` may answer; the base model always may. Raises: NotFound."""
    return version == BASE_VERSION or get(tx, tenant, version).state is VersionState.READY


def require_ready(tx: Transaction, tenant: str, version: int) -> None:
    """Return if `version` may answer. Raises: NotFound, FailedPrecondition (quarantined)."""
    if version == BASE_VERSION:
        return
    found = get(tx, tenant, version)
    if found.state is VersionState.QUARANTINED:
        raise FailedPrecondition(
            f"{resource(tenant, version)} is quarantined ({found.reason}) and is never loaded again",
            reason="VERSION_QUARANTINED",
        )


def quarantine(tx: Transaction, tenant: str, version: int, *, actor: str, reason: str) -> AdapterVersion:
    """Mark the version as never to be loaded; no change if it is so already. Raises: NotFound, InvalidArgument."""
    if version == BASE_VERSION:
        raise InvalidArgument("the base model cannot be quarantined", field="version")
    found = get(tx, tenant, version)
    if found.state is VersionState.QUARANTINED:
        return found
    state_machine.require_version_move(found.state, VersionState.QUARANTINED)
    tx.run(
        update(t.versions)
        .where(t.versions.c.tenant == tenant, t.versions.c.version == version)
        .values(state=VersionState.QUARANTINED, reason=reason)
    )
    tenants.note_change(tx, tenant)
    audit.append(
        tx,
        "adapter.quarantine",
        actor=actor,
        tenant=tenant,
        subject=resource(tenant, version),
        details={"reason": reason},
    )
    return get(tx, tenant, version)


def held_documents(tx: Transaction, tenant: str, version: int) -> tuple[str, ...]:
    """Return the documents that the version holds; none for the base model."""
    held = t.version_documents
    query = select(held.c.document).where(held.c.tenant == tenant, held.c.version == version)
    return tuple(row.document for row in tx.rows(query.order_by(held.c.position)))


def sources(tx: Transaction, tenant: str, version: int) -> Subquery:
    """Return a query of (document, cycle): for each document the version holds, where it was learned.

    That is the newest cycle, up to the version's own, that claimed it and published; a document learned again is
    studied from its newest self-edits. Empty for the base model. Raises: NotFound.
    """
    own_cycle = get(tx, tenant, version).cycle if version != BASE_VERSION else ""
    claimed, held, own = t.cycle_documents, t.version_documents, t.cycles
    limit = select(own.c.sequence).where(own.c.cycle == own_cycle).scalar_subquery()
    newest = (
        select(claimed.c.document, func.max(own.c.sequence).label("sequence"))
        .join(own, own.c.cycle == claimed.c.cycle)
        .join(held, and_(held.c.tenant == claimed.c.tenant, held.c.document == claimed.c.document))
        .where(held.c.tenant == tenant, held.c.version == version)
        .where(own.c.version.is_not(None), own.c.sequence <= limit)
        .group_by(claimed.c.document)
        .subquery()
    )
    return select(newest.c.document, own.c.cycle).join(own, own.c.sequence == newest.c.sequence).subquery()


def resource(tenant: str, version: int) -> str:
    """Return the version's name in the API."""
    return adapter_name(tenant, version)


def _newest(tx: Transaction, tenant: str) -> int:
    row = tx.row(select(t.tenants.c.newest_version).where(t.tenants.c.tenant == tenant))
    if row is None:
        raise NotFound(f"tenants/{tenant}", kind="tenant")
    return int(row.newest_version)


def _record(row: Row[Any], *, held: tuple[str, ...]) -> AdapterVersion:
    return AdapterVersion(
        tenant=row.tenant,
        version=row.version,
        artifact=row.artifact,
        engine_name=row.engine_name,
        state=VersionState(row.state),
        reason=row.reason,
        cycle=row.cycle,
        parent=row.parent,
        documents=held,
        lineage=Lineage.from_json(row.lineage),
        created_at=row.created_at,
    )
